"""Groups as services: members, their offsets, and what operators ask."""
