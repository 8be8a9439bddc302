"""Whose fault a failed job is, and which failures share a cause."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import FailureClass
from qobs.sources.failure import classify, failure, message_shape, signature
from qobs.sources.failure_words import TABLES

TABLE = [
    ("ibm", "1002", "Invalid job", "user"),
    ("ibm", "1003", "Transpilation failed", "sdk"),
    ("ibm", "1004", None, "provider"),
    ("ibm", "1200", None, "auth"),
    ("ibm", "1201", None, "auth"),
    ("ibm", "1202", "limit is 5 per minute", "queue"),
    ("ibm", "1305", "ran longer than max execution time", "user"),
    ("ibm", "1517", None, "user"),
    ("ibm", "9999", None, "provider"),
    ("ibm", "5203", None, "sdk"),
    ("ibm", "3000", None, "unknown"),
    ("ibm", "12", None, "unknown"),
    ("ionq", "InvalidInput", None, "user"),
    ("ionq", "CompilationError", None, "sdk"),
    ("ionq", "ContractExpiredError", None, "auth"),
    ("ionq", "InternalError", None, "provider"),
    ("ionq", "internal_error", None, "provider"),
    ("ionq", "QuantumComputerError", None, "hardware"),
    ("ionq", "QuotaExhaustedError", None, "queue"),
    ("ionq", "SimulationTimeout", None, "provider"),
    ("ionq", "TooManyShots", None, "user"),
    ("ionq", "BrandNewCode", None, "unknown"),
    ("azure", "InvalidInputData", None, "user"),
    ("azure", "PropertyNotSpecified", None, "user"),
    ("azure", "CannotTranslateOutputData", None, "provider"),
    ("azure", "quantinuum - 1001", None, "user"),
    ("azure", "RuntimeError", "calibration of zone 3 was lost", "hardware"),
    ("azure", None, None, "unknown"),
    ("azure", "", "", "unknown"),
    ("other", "AccessDeniedException", None, "auth"),
    ("other", "ThrottlingException", None, "queue"),
    ("other", None, "Connection reset by peer", "network"),
    ("other", None, "Internal server error", "provider"),
    ("other", None, "Circuit exceeds the maximum number of gates", "user"),
    ("other", None, "No module named 'qiskit_aer'", "sdk"),
    ("other", None, "la máquina está triste", "unknown"),
]


@pytest.mark.parametrize(("provider", "code", "message", "kind"), TABLE)
def test_a_failure_has_its_class(provider, code, message, kind):
    """A user's mistake must not spend the provider's error budget, nor the other way round."""
    assert classify(provider, code, message) == FailureClass(kind)


IONQ_CODES = [
    "InvalidInput",
    "CompilationError",
    "ContractExpiredError",
    "DebiasingError",
    "InternalError",
    "NotEnoughQubits",
    "OptimizationError",
    "PreflightError",
    "QuantumCircuitComplexityError",
    "QuantumComputerError",
    "QuotaExhaustedError",
    "SimulationError",
    "SimulationTimeout",
    "SystemCancel",
    "TooLongPredictedExecutionTime",
    "TooManyControls",
    "TooManyGates",
    "TooManyShots",
    "UnknownBillingError",
    "UnsupportedGate",
]


@pytest.mark.parametrize("code", IONQ_CODES)
def test_every_documented_ionq_code_has_a_class(code):
    """The enumeration is published: none of its words may be unknown."""
    assert classify("ionq", code, None) is not FailureClass.UNKNOWN


def test_the_tables_keys_are_written_as_they_are_looked_up():
    """A key with a capital or a space would never match."""
    assert all(key.isalnum() and key == key.lower() for table in TABLES.values() for key in table)


@given(st.text(max_size=20), st.none() | st.text(max_size=60), st.none() | st.text(max_size=200))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_classification_is_total(provider, code, message):
    """Whatever a provider writes, the job is stored."""
    made = failure(provider, code, message)
    assert made.kind in FailureClass
    assert len(made.signature) == 12
    assert int(made.signature, 16) >= 0
    assert len((made.message or "").encode()) <= 1024


SAME = [
    ("Job 5d0f1a2b3c4d5e6f failed on qubit 17 of 127", "Job aa0f1a2b3c4d5e6f failed on qubit 3 of 156"),
    ("Job cz2b8k1h3m4n00sdtp0g failed", "Job d01x8k1h3m4n00sdtp0g failed"),
    ("Task 1b4e28ba-2fa1-11d2-883f-0016d3cca427 lost", "Task 6fa459ea-ee8a-3ca4-894e-db77e160355e lost"),
    ("'ibm_fez' is not valid", "'ibm_torino' is not valid"),
    ('Parameter "theta" missing', 'Parameter "phi" missing'),
    ("at 2026-03-01T10:00:00Z it broke", "at 2025-12-24 23:59:59.123 it broke"),
    ('File "/home/a/x.py", line 3', 'File "/opt/venv/lib/y.py", line 99'),
    ("see https://a.example/x/1?y=2", "see https://b.example/"),
    ("fidelity 0.31 under 0.5", "fidelity 1e-3 under 0.75"),
    ("Took  too   long\n", "took too long"),
    ("Read /data/jobs/17/in.bin", "Read /srv/other/in.bin"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_failures_of_one_cause_share_a_signature(one, other):
    """A thousand failures of one bug are one line in the incident view, not a thousand."""
    assert signature(FailureClass.USER, "X", one) == signature(FailureClass.USER, "X", other)


def test_failures_of_different_causes_do_not():
    """Two bugs under one signature would hide one of them."""
    messages = [
        "qubit 3 is faulty",
        "gate rzz is not supported",
        "queue is full",
        "no shots left",
        "",
        "timeout after 3 s",
        "timeout before 3 s",
    ]
    signatures = {signature(FailureClass.USER, code, message) for message in messages for code in ("A", "B")}
    signatures |= {signature(FailureClass.SDK, "A", "queue is full")}
    assert len(signatures) == 15


def test_a_signature_is_the_same_tomorrow():
    """It is stored and compared over releases: a change here is a change of the data."""
    assert signature(FailureClass.USER, "TooManyShots", "10001 shots asked, 10000 allowed") == "4ba555531227"


@given(st.text(max_size=200))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_a_shape_is_bounded_text(message):
    """No message crashes it or makes it long."""
    assert len(message_shape(message)) <= 300


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "1" * 500_000,
        "/a" * 200_000,
        "'" * 300_000,
        "a_1" * 100_000,
        "-" * 300_000,
        "0x" * 200_000,
        ('"' + "a" * 299) * 900,
    ],
    ids=range(8),
)
def test_hostile_messages_take_bounded_time(text):
    """The message is the provider's text (a hang fails this test by its runner's limit)."""
    assert len(signature(FailureClass.UNKNOWN, text, text)) == 12
    assert classify("ibm", text, text) in FailureClass


def test_a_kept_message_has_no_credentials_and_fits():
    """Messages are stored and shown."""
    made = failure("azure", "X?sig=abcdef", "cannot read https://a.example/b?sv=1&sig=canary " + "é" * 3000)
    assert "canary" not in made.message
    assert "https://a.example/b?***" in made.message
    assert 1022 <= len(made.message.encode()) <= 1024
    assert "abcdef" not in made.code


def test_no_message_and_no_code_stay_none():
    """None is "not told": an empty string would claim that the provider said nothing."""
    made = failure("azure", None, None)
    assert (made.kind, made.code, made.message) == (FailureClass.UNKNOWN, None, None)
