"""DataCore: Apache Kafka's protocol, whole, in one ``pip install`` of Python."""

__version__ = "0.1.0"
