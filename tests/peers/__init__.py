"""Peers' own test suites, pointed at Apache Kafka and at DataCore (make test-peers)."""
