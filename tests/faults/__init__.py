"""Random faults, the same for the same seed: `python -m tests.faults --seeds N`."""
