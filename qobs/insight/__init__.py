"""What belongs together and what to do: pure functions on records."""
