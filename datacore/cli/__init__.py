"""The datacore command."""
