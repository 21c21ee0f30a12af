"""Numbered changes of the schema, each applied once; ``schema.py`` does it."""
