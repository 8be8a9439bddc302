"""Quantum clouds, one module each."""
