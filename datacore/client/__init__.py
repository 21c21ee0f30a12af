"""A small Kafka client over the generated codecs, for the CLI and for tests."""
