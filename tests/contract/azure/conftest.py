import pytest

collect_ignore = ["client.py"]
"""It runs in the official client's environment, not in this one."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known when this folder is collected on its own."""
    config.addinivalue_line("markers", "contract: needs an environment with a provider's official clients")
