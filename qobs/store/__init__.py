"""Where facts are kept: one contract, one way to write."""
