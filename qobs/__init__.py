"""qobs: observability and service-level objectives for quantum computing."""

__version__ = "0.1.0"
