"""Primitives that every codec stands on: varints, strings, tagged fields, batch headers."""
