"""A broker inside a Python program or test, and the suites that engines must pass."""
