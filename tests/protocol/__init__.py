"""Tests of frames, headers and version negotiation."""
