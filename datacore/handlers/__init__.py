"""One file per Kafka API, named after it, and one literal table."""
