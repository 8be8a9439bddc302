"""Configuration as a whole: good files, defaults, overrides, secrets, and whatever text may come."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qobs.config import Backups, Config, Indicators, Limits, Log, Retention, Tier, json_schema, load, parse
from qobs.errors import ConfigError
from qobs.model import Job, Stream
from qobs.secret import Secret
from qobs.sources.base import SourceType

HERE = Path(__file__).parent
FULL = HERE / "good" / "full.yaml"
SOURCE = "sources: [{name: a, type: lab, credentials: {token: {env: LAB_TOKEN}}}]\n"

Types = Mapping[str, SourceType]
Environment = Mapping[str, str]


def read(text: str, types: Types, environ: Environment, *, private: bool = False) -> Config:
    return parse(text, file="qobs.yaml", source_types=types, environ=environ, base=HERE, private=private)


@pytest.fixture
def full(source_types: Types, environ: Environment) -> Config:
    return load(FULL, source_types, environ=environ)


def test_every_key_arrives_as_a_checked_record(full: Config) -> None:
    """What the operator wrote is what the daemon runs with, in seconds, bytes and UTC."""
    first, second = full.sources
    assert (full.listen.host, full.listen.port, str(full.listen)) == ("::1", 9954, "[::1]:9954")
    assert full.store.path == HERE / "good" / "data" / "qobs.db"
    assert first.poll_seconds == {Stream.JOBS: 30.0, Stream.CALIBRATIONS: 600.0, Stream.STATUS: 90.0}
    assert first.url == first.options["url"] == "http://127.0.0.1:8080/api"
    assert first.tags["priority"].fullmatch("prio:high").groupdict() == {"priority": "high"}  # type: ignore[union-attr]
    assert second.options == {
        "instance": "crn:v1:x",
        "region": "eu-de",
        "page_size": 50,
        "strict": True,
        "backends": ("fez", "marrakesh"),
    }
    assert second.credentials["client_secret"]().reveal() == "file-hunter2"
    assert full.indicators.queue_wait.priorities == {"high": 60.0}
    assert full.limits.max_queue_bytes == 32 << 20
    assert full.maintenance[0].to_at == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert [window.scope for window in full.maintenance] == [
        {"backend": ("ibm_fez",)},
        {"provider": ("ibm",), "priority": ("high", "low")},
    ]
    assert (full.retention, full.backups) == (Retention(jobs_seconds=8_640_000.0), Backups(every_seconds=1_800.0, keep=48))
    assert full.unused == ("otlp",)
    assert full.warnings == ()


def test_an_empty_section_means_its_defaults(source_types: Types, environ: Environment) -> None:
    """The table of keys and the records must not disagree about a default, or writing `log:` would change the log."""
    sections = "indicators: {queue_wait: , job_latency: , calibration_freshness: }\nlimits:\nretention:\nbackups:\nlog:\ntier:\n"
    config = read(SOURCE + sections, source_types, environ)
    assert config.indicators == Indicators()
    assert (config.limits, config.retention, config.backups, config.log, config.tier) == (
        Limits(),
        Retention(),
        Backups(),
        Log(),
        Tier(),
    )
    assert read(SOURCE, source_types, environ).fingerprint() == config.fingerprint()


def test_the_environment_wins_over_the_file(source_types: Types, environ: Environment) -> None:
    """A container sets its address and log format without rewriting the mounted file."""
    given_environ = {**environ, "QOBS_LISTEN": "0.0.0.0:80", "QOBS_LOG_FORMAT": "json", "QOBS_STORE": "sqlite:///data/q.db"}
    config = read(SOURCE + "listen: 127.0.0.1:1\nlog: {level: debug}", source_types, given_environ)
    assert (str(config.listen), config.log, config.store.path) == (
        "0.0.0.0:80",
        Log(level="debug", format="json"),
        Path("/data/q.db"),
    )


def test_a_bad_override_names_its_variable(source_types: Types, environ: Environment) -> None:
    """The line of a file that is fine must not be blamed for the environment."""
    with pytest.raises(ConfigError, match=r"^\$QOBS_LOG_LEVEL: log\.level: found text 'loud'; allowed: debug"):
        read(SOURCE, source_types, {**environ, "QOBS_LOG_LEVEL": "loud"})


def test_labels_and_tags_fill_fields_that_a_job_has(source_types: Types) -> None:
    """A pattern for a field that no job has would be accepted and do nothing."""
    from qobs.model import LABEL_FIELDS

    assert set(LABEL_FIELDS) <= set(Job.__struct_fields__)


# ----------------------------------------------------------------------------------------------------- secrets


def test_an_inline_secret_needs_a_private_file_and_is_warned_about(tmp_path: Path, source_types: Types) -> None:
    """Whoever tries qobs quickly may, but is told, and nobody else on the machine can read it."""
    path = tmp_path / "qobs.yaml"
    path.write_text("sources: [{name: a, type: lab, credentials: {token: inline-hunter2}}]")
    path.chmod(0o600)
    config = load(path, source_types, environ={})
    assert config.sources[0].credentials["token"]() == Secret("inline-hunter2")
    assert [finding.code for finding in config.warnings] == ["config.secret_inline"]
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="inline values need mode 0600"):
        load(path, source_types, environ={})


def test_secrets_are_in_no_text_of_a_configuration(full: Config, source_types: Types) -> None:
    """A configuration is printed, logged and hashed; its secrets are not."""
    inline = read("sources: [{name: a, type: lab, credentials: {token: inline-hunter2}}]", source_types, {}, private=True)
    for config in (full, inline):
        shown = f"{config!r} {config} {config.warnings} {config.fingerprint()} {json.dumps(json_schema(source_types))}"
        assert "hunter2" not in shown


def test_a_rotated_secret_file_is_seen_on_the_next_call(tmp_path: Path, source_types: Types) -> None:
    """A rotation must not need a restart, and a file that is gone for a moment must not stop the polling."""
    secret = tmp_path / "key"
    secret.write_text("one\n")
    told: list[str] = []
    text = f"sources: [{{name: a, type: lab, credentials: {{token: {{file: '{secret}'}}}}}}]"
    config = parse(
        text, file="f", source_types=source_types, environ={}, base=tmp_path, on_secret=lambda value: told.append(value.reveal())
    )
    reader = config.sources[0].credentials["token"]
    assert reader().reveal() == "one"
    secret.unlink()
    assert reader().reveal() == "one"
    secret.write_text("two-is-longer\n")
    assert [reader().reveal(), reader().reveal()] == ["two-is-longer"] * 2
    secret.write_text("")
    assert reader().reveal() == "two-is-longer"
    assert told == ["one", "two-is-longer"]


def test_the_fingerprint_follows_the_meaning(full: Config, source_types: Types, environ: Environment, tmp_path: Path) -> None:
    """`qobs_config_hash` must change with the configuration and with nothing else."""
    text = FULL.read_text()
    here = FULL.parent

    def fingerprint(changed: str, env: Environment) -> str:
        return parse(changed, file="x", source_types=source_types, environ=env, base=here).fingerprint()

    assert fingerprint(text, environ) == full.fingerprint()
    assert fingerprint("# a comment\n" + text, {"LAB_TOKEN": "another"}) == full.fingerprint()
    assert fingerprint(text.replace("priority: 'prio:", "priority: 'priority:"), environ) != full.fingerprint()
    assert fingerprint(text.replace("keep: 48", "keep: 49"), environ) != full.fingerprint()
    assert fingerprint(text.replace("../secret_file", "../good/../secret_file"), environ) != full.fingerprint()


# ------------------------------------------------------------------------------------------------ any file, any text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xff\xfe\x00", "the file is not UTF-8 text (byte 0)"),
        (b"a" * ((1 << 20) + 1), "the file is longer than 1 MiB"),
    ],
)
def test_a_file_that_is_no_configuration_is_told(tmp_path: Path, source_types: Types, content: bytes, found: str) -> None:
    """A path given by mistake gets a sentence, not a traceback."""
    path = tmp_path / "qobs.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(found)):
        load(path, source_types, environ={})


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path, source_types: Types) -> None:
    """The first thing that goes wrong for everybody has its sentence."""
    with pytest.raises(ConfigError, match="the file cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml", source_types, environ={})
    with pytest.raises(ConfigError, match="the file cannot be read: Is a directory"):
        load(tmp_path, source_types, environ={})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path, source_types: Types, environ: Environment) -> None:
    """Editors of some systems write one."""
    path = tmp_path / "qobs.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SOURCE.encode())
    assert load(path, source_types, environ=environ).sources[0].name == "a"


ANCHORS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@settings(max_examples=120, derandomize=True, deadline=None, database=None)
@given(text=st.one_of(st.text(max_size=200), st.text(alphabet="{}[]:,&*!|>'\"#%@-? \n\tab01.", max_size=200)))
@example(text="a: &a [*a]")
@example(text=ANCHORS)
@example(text="[" * 3_000)
@example(text='"\\UFFFFFFFF"')
@example(text="%YAML 9999999999999999999999999999.1\n---\na")
@example(text="listen: !!python/object/apply:os.system [id]")
@example(text="? {a: b}\n: c")
@example(text="limits: {max_series: " + "9" * 5_000 + "}")
@example(text="'\\ud800': 1")
@example(text="tier: {full: [\x85]}")
def test_any_text_loads_or_is_answered_with_findings(source_types: Types, environ: Environment, text: str) -> None:
    """A daemon that dies of a traceback on reload leaves its operator without the line to mend."""
    try:
        read(text, source_types, environ)
    except ConfigError as problem:
        assert problem.findings  # noqa: PT017


WORDS = st.sampled_from(
    ["5m", "30", "true", "null", "[]", "{}", "[{}]", "{a: b}", "*x", "'", "2026-01-01", "0x1F", "1e400", "~", "-"]
)


@settings(max_examples=120, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_any_value_anywhere_loads_or_is_answered_with_findings(
    source_types: Types, environ: Environment, data: st.DataObject
) -> None:
    """Each key meets each sort of value: none may raise anything but findings with a file and a hint."""
    text = FULL.read_text()
    spots = [match.span(1) for match in re.finditer(r": ([^ {\[,}\]\n][^,}\]\n]*)", text)]
    for start, end in sorted(data.draw(st.lists(st.sampled_from(spots), max_size=3, unique=True)), reverse=True):
        text = text[:start] + data.draw(WORDS) + text[end:]
    try:
        parse(text, file="f", source_types=source_types, environ=environ, base=FULL.parent).fingerprint()
    except ConfigError as problem:
        assert all(finding.file == "f" and finding.found and finding.hint for finding in problem.findings)  # noqa: PT017


def test_loading_reads_no_more_of_the_environment_than_it_says(
    source_types: Types, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without an explicit environment the process' own one is used."""
    path = tmp_path / "qobs.yaml"
    path.write_text(SOURCE)
    monkeypatch.setitem(os.environ, "LAB_TOKEN", "x")
    monkeypatch.setitem(os.environ, "QOBS_LISTEN", "127.0.0.1:7")
    assert load(path, source_types).listen.port == 7
