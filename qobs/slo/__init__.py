"""Is it good enough? Pure: verdicts on records and arithmetic on counts; no clock, socket, disk or environment."""
