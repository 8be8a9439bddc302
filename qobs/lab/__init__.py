"""Emulated clouds over HTTP with real wire formats: for the demo, for tests, for game days. The daemon never imports it."""
