"""Every config of a broker, by subject."""
