"""The reference section: what it may say, what it means where it says nothing, and that it is off unless it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from qobs.config import Config, parse
from qobs.config.records import Reference, Sample
from qobs.errors import ConfigError
from qobs.sources.registry import SOURCES

TEXT = "sources: [{name: a, type: ionq, credentials: {api_key: {env: KEY}}}]\n"


def config(section: str, tmp_path: Path) -> Config:
    """A configuration with this section."""
    environ = {"KEY": "k" * 20}
    return parse(TEXT + section, file="FILE", source_types=SOURCES, environ=environ, base=tmp_path)


def test_without_the_section_nothing_is_verified(tmp_path: Path) -> None:
    """Asking providers for results costs requests: nobody who did not ask for it must pay."""
    assert config("", tmp_path).reference is None


def test_an_empty_section_switches_it_on_with_the_defaults(tmp_path: Path) -> None:
    """The shortest way to switch it on must be a safe one, and must not be called unused."""
    read = config("reference:\n", tmp_path)
    assert read.reference == Reference(
        max_qubits=24,
        workers="local",
        sample=Sample(every=1),
        deadline_seconds=120.0,
        max_memory_bytes=4 << 30,
        alpha=0.01,
    )
    assert read.unused == ()


@pytest.mark.parametrize(
    ("text", "sample"),
    [("all", Sample()), ("per_shape", Sample(per_shape=True)), ("{every: 25}", Sample(every=25))],
)
def test_each_way_to_sample_is_read(text: str, sample: Sample, tmp_path: Path) -> None:
    """A policy that is misread asks the provider for every result."""
    read = config(f"reference: {{sample: {text}, deadline: 30s, max_memory: 8GiB, alpha: 0.05}}", tmp_path).reference
    assert read == Reference(sample=sample, deadline_seconds=30.0, max_memory_bytes=8 << 30, alpha=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample: some", "reference.sample: found text 'some'; must be `all`, `per_shape`, or a mapping such as {every: 10}"),
        ("sample: {every: 0}", "reference.sample.every: found a whole number (0); must be a whole number from 1 to 1000000"),
        ("sample: {each: 5}", "reference.sample: found a mapping; must be `all`"),
        ("alpha: 1", "reference.alpha: found a whole number (1); must be a number greater than 0 and less than 1"),
        ("alpha: .nan", "must be a number greater than 0 and less than 1"),
        ("max_memory: 100MiB", "reference.max_memory: found text '100MiB'; must be a size such as 64MiB, from 2GiB"),
        ("deadline: 0s", "reference.deadline: found text '0s'; must lie between 1s and 1d"),
        ("workers: 'tcp://127.0.0.1:8786'", "reference.workers: found text 'tcp://127.0.0.1:8786'; allowed: local"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(text: str, said: str, tmp_path: Path) -> None:
    """Who cannot read the message reads the source."""
    with pytest.raises(ConfigError) as caught:
        config(f"reference: {{{text}}}", tmp_path)
    assert said in str(caught.value)
