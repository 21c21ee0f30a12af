"""The disk engine: Kafka's segment files, one flusher thread, recovery from a remembered point."""
