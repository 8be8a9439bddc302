"""Is the result right? Circuits in, noise from calibrations, simulation, and verdicts on what was measured."""
