"""Driver programs: one per client family, all speaking the contract of CONTRACT.md."""
