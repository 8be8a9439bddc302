"""Source types and an environment for configuration tests: a plain one, and one with every kind of option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import pytest

from qobs.model import Stream
from qobs.sources.base import Option, Settings, SourceType


def _never_built(settings: Settings) -> NoReturn:
    raise AssertionError("reading a configuration must build no source")


@pytest.fixture(scope="session")
def source_types() -> Mapping[str, SourceType]:
    intervals = {Stream.JOBS: 30.0, Stream.STATUS: 60.0, Stream.CALIBRATIONS: 600.0}
    lab = SourceType("lab", "A laboratory", _never_built, hosts=(), credentials=(frozenset({"token"}),), poll_seconds=intervals)
    options = (
        Option("instance", "the instance to ask", required=True),
        Option("region", "where it runs", default="us-east", choices=("us-east", "eu-de")),
        Option("page_size", "records of a page", int, default=100),
        Option("strict", "refuse what is unknown", bool, default=False),
        Option("backends", "only these", tuple, default=()),
    )
    ways = (frozenset({"api_key"}), frozenset({"client_id", "client_secret"}))
    cloud = SourceType("cloud", "A cloud", _never_built, hosts=("*.cloud.example",), options=options, credentials=ways)
    return {"lab": lab, "cloud": cloud}


@pytest.fixture(scope="session")
def environ() -> Mapping[str, str]:
    return {"LAB_TOKEN": "env-hunter2"}
