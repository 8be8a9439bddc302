"""Payload beside expected records: every decision about words, types, gaps and secrets, as files that can be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from qobs.model import Batch

CASES = {
    "v1_states": "jobs",
    "v2_states": "jobs",
    "unknown_state": "jobs",
    "wrong_types": "jobs",
    "missing_fields": "jobs",
    "null_error": "jobs",
    "odd_times": "jobs",
    "charges": "jobs",
    "provider_status": "providerStatus",
    "quotas": "quotas",
}


@pytest.mark.parametrize("case", CASES)
def test_a_payload_gives_exactly_the_expected_records(case: str, normalize: Callable[..., Batch], fixtures: Path) -> None:
    """A changed reading of Azure's answers would change stored history without anybody deciding it.

    After a decision: ``QOBS_REFRESH_GOLDEN=1 pytest tests/sources/azure/test_azure_golden.py``, then read the difference.
    """
    batch = normalize((fixtures / case / "payload.json").read_bytes(), kind=CASES[case])
    text = msgspec.json.format(msgspec.json.encode(batch), indent=1).decode() + "\n"
    expected = fixtures / case / "expected.json"
    if os.environ.get("QOBS_REFRESH_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize("case", CASES)
def test_no_record_keeps_a_secret_of_its_payload(case: str, normalize: Callable[..., Batch], fixtures: Path) -> None:
    """A signature in the store opens the job's data to everybody who can read a backup of it."""
    payload = (fixtures / case / "payload.json").read_bytes()
    batch = normalize(payload, kind=CASES[case])
    kept = msgspec.json.encode(batch) + b"".join(each.body for each in batch.quarantined)
    assert b"T0PSECRET" in payload or case in ("missing_fields", "quotas")
    for secret in (b"T0PSECRET", b"sig=", b"sv=", b"me@example.org"):
        assert secret not in kept
