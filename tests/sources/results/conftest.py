"""Answers made of fixtures, and the expectations that stand beside them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from qobs.model import Job, JobState, Raw, Stream
from qobs.result import Execution, Program

FIXTURES = Path(__file__).parents[2] / "fixtures"
AT = datetime(2026, 9, 14, 12, tzinfo=UTC)


def as_bytes(value: object) -> bytes:
    """Text and bytes as they stand, everything else as JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """A finished job of a provider."""

    def make(provider: str, **changes: Any) -> Job:
        fields = {"source": "s", "account": "a", "id": "j1", "state": JobState.COMPLETED, "backend": "b", "started_at": AT}
        return Job(**({"provider": provider} | fields | changes))

    return make


@pytest.fixture(scope="session")
def make_raw() -> Callable[..., Raw]:
    """A result's raw answers: the job and its companions, each JSON value, text or bytes."""

    def make(job: object, /, **companions: object) -> Raw:
        bodies = {name: as_bytes(value) for name, value in companions.items()}
        return Raw(stream=Stream.JOBS, kind="result", body=as_bytes(job), fetched_at=AT, about={"id": "j1"}, companions=bodies)

    return make


@pytest.fixture(scope="session")
def case() -> Callable[[str, str], dict[str, Any]]:
    """A fixture by provider and name."""

    def read(provider: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((FIXTURES / provider / "results" / f"{name}.json").read_bytes())
        return found

    return read


@pytest.fixture(scope="session")
def packed() -> Callable[[str], bytes]:
    """A gzipped file of the real Torino job."""
    return lambda name: gzip.decompress((FIXTURES / "ibm" / "results" / "torino" / f"{name}.json.gz").read_bytes())


@pytest.fixture(scope="session")
def told() -> Callable[[Execution], list[dict[str, Any]]]:
    """Programs as fixtures write them: index and defaults left out, JSON circuits as JSON."""

    def plain(program: Program) -> dict[str, Any]:
        fields = msgspec.structs.asdict(program)
        circuit = program.circuit.decode()
        fields["circuit"] = json.loads(circuit) if circuit.startswith("{") and program.kind == "ionq" else circuit
        kept = ("circuit", "kind", "counts", "order", "shots", "probabilities")
        return {name: fields[name] for name in kept if fields[name] not in (None, {})}

    return lambda execution: [plain(program) for program in execution.programs]


@pytest.fixture(scope="session")
def ndarray() -> Callable[..., str]:
    """Base64 of zlib of a NumPy file, as IBM's own encoder makes it."""

    def encode(values: object, kind: str = "u1") -> str:
        file = io.BytesIO()
        np.save(file, np.array(values, dtype=kind), allow_pickle=kind == "O")
        return base64.b64encode(zlib.compress(file.getvalue())).decode()

    return encode
