"""Real clients, each run as itself, against a broker process."""
