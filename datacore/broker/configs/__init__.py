"""Configs as services: what is in effect, what may change, and how clients see it."""
