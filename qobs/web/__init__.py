"""For people and callers: the HTTP surface."""
