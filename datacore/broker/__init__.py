"""The services that every door of the broker calls."""
