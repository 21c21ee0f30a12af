"""Logs over a store of chunks: what the engines over databases and buckets share."""
