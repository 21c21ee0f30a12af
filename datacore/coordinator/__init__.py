"""Pure replicated state machines: no I/O, no clock, no chance."""
