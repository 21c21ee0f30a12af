"""The PostgreSQL engine: logs as rows of a database that others operate."""
