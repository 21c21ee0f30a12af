"""One module a generated page, each with a function that returns its whole text."""
