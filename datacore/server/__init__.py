"""The Kafka listener: connections, frames, dispatch."""
