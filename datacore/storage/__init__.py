"""Engines: fenced append-only logs of opaque record batches."""
