"""What a partition's log means, over any engine."""
