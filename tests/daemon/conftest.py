"""A configuration whose only source is a loopback port that refuses every connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from qobs.config import Config, parse
from qobs.sources.registry import SOURCES

TEXT = """\
listen: {listen}
store: sqlite://{store}
{more}
sources:
  - name: ionq-here
    type: ionq
    url: http://127.0.0.1:{port}
    credentials: {{api_key: {{file: {directory}/key}}}}
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Config]:
    """Makes a configuration; each call may change where it listens and stores."""
    (tmp_path / "key").write_text("k" * 20)
    (tmp_path / "key").chmod(0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    def make(*, listen: str = "127.0.0.1:0", store: str = "qobs.db", more: str = "") -> Config:
        text = TEXT.format(listen=listen, store=tmp_path / store, more=more, port=port, directory=tmp_path)
        return parse(text, file="test.yaml", source_types=SOURCES, environ={}, base=tmp_path)

    return make
