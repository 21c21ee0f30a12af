"""What frames a Kafka message: size, headers, error codes, the versions a broker serves."""
