"""Primitives that every codec stands on: integers, varints, strings, tagged fields, batch headers."""
