"""Pages for people; ``generate`` writes those that can be read off the code."""
