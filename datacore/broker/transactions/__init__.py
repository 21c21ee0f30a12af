"""Transactions as services: coordination, markers, offsets, and the ids of producers."""
