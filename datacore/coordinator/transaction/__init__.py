"""Transactions of one partition of __transaction_state, as a pure machine."""
