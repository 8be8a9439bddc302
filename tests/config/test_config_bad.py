"""Broken configurations: each file of ``bad/`` with the exact message that its author gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from qobs.config import load
from qobs.errors import ConfigError
from qobs.sources.base import SourceType

BAD = Path(__file__).parent / "bad"

MESSAGES = {
    "credentials_missing": (
        "FILE:2: sources[0].credentials: nothing is given; this key is required: secrets, each as `{file: PATH}` or `{env: NAME}`"
    ),
    "credentials_text": (
        "FILE:4: sources[0].credentials: found text (not shown); must be a mapping; allowed: token, each as "
        "{file: PATH} or {env: NAME}"
    ),
    "credentials_two_sets": (
        "FILE:5: sources[0].credentials: found api_key, client_id; allowed: api_key or client_id with "
        "client_secret, each as {file: PATH} or {env: NAME}"
    ),
    "credentials_unknown_key": (
        "FILE:4: sources[0].credentials: found 1 unknown key (not shown); allowed: token, each as {file: PATH} or {env: NAME}"
    ),
    "credentials_unknown_way": (
        "FILE:4: sources[0].credentials.token: found a mapping (not shown); must be {file: PATH} or {env: NAME}"
    ),
    "duplicate_key": ("FILE:3: listen: the key is given twice (first on line 1); give it once"),
    "empty_sources": ("FILE:1: sources: found 0 sources; must have from 1 to 1000"),
    "indicator_duration": (
        "FILE:4: indicators.queue_wait.threshold: found text 'five minutes'; must be a duration such as 30s, 10m, "
        "24h, 7d, 1h30m or PT30S"
    ),
    "indicator_per_backend": ("FILE:4: indicators.job_latency.backends.ibm_fez: found text '0s'; must lie between 1s and 3660d"),
    "label_not_a_job_field": (
        "FILE:4: sources[0].labels.tema: found text 'tema'; did you mean team? allowed: batch, circuit_hash, "
        "cost_center, environment_hash, experiment, name, parameter_hash, parent_run, priority, sdk, sdk_version, "
        "team, trace_id, workload"
    ),
    "limit_number": ("FILE:2: limits.max_series: found text '1e6'; must be a whole number from 100 to 5000000"),
    "limit_size": ("FILE:2: limits.max_body: found text '32MB'; must be a size such as 64MiB, from 64KiB to 1GiB"),
    "listen_number": ("FILE:1: listen: found a whole number (9954); must be host:port such as 127.0.0.1:9954 or [::1]:9954"),
    "listen_port": ("FILE:1: listen: found text '127.0.0.1:99540'; must be host:port such as 127.0.0.1:9954 or [::1]:9954"),
    "log_boolean": ("FILE:2: log.level: found a boolean (off); must be one of debug, info, warning, error"),
    "log_level": ("FILE:2: log.level: found text 'verbose'; allowed: debug, error, info, warning"),
    "maintenance_backwards": ("FILE:3: maintenance[0]: the window ends before it begins; `from` must lie before `to`"),
    "maintenance_without_offset": (
        "FILE:3: maintenance[0].from: found text '2026-12-01T08:00'; must be a time with its offset, such as 2026-12-01T08:00Z"
    ),
    "no_sources": ("FILE:1: sources: nothing is given; this key is required: the accounts to watch"),
    "not_a_mapping": ("FILE:1: (top level): found a list; must be a mapping of keys and values"),
    "otlp_boolean": ("FILE:2: otlp.traces: found text 'yes'; must be true or false"),
    "otlp_without_endpoint": ("FILE:2: otlp.endpoint: nothing is given; this key is required: OTLP receiver"),
    "poll_too_short": ("FILE:4: sources[0].poll.jobs: found text '10ms'; must lie between 1s and 3660d"),
    "poll_unknown_stream": ("FILE:4: sources[0].poll.quotas: unknown key; allowed: calibrations, jobs, status"),
    "poll_without_unit": (
        "FILE:4: sources[0].poll.jobs: found a whole number (30); must be a duration such as 30s, 10m, 24h, 7d, 1h30m or PT30S"
    ),
    "reference_workers": ("FILE:2: reference.workers: found text 'everywhere'; allowed: local"),
    "retention_too_short": ("FILE:2: retention.jobs: found text '30d'; must lie between 91d and 3660d"),
    "secret_env_unset": (
        "FILE:4: sources[0].credentials.token.env: the environment variable LAB_TOKN is not set or empty; set it "
        "where the daemon is started"
    ),
    "secret_file_empty": (
        "FILE:4: sources[0].credentials.token.file: the secret cannot be read: it is empty (empty_secret); "
        "must be a readable file that holds the secret and nothing else"
    ),
    "secret_file_missing": (
        "FILE:4: sources[0].credentials.token.file: the secret cannot be read: No such file or directory "
        "(no/such/file); must be a readable file that holds the secret and nothing else"
    ),
    "secret_inline": (
        "FILE:4: sources[0].credentials.token: an inline secret in a file that others may read (not shown); move "
        "it to a file or the environment: {file: PATH} or {env: NAME}; inline values need mode 0600"
    ),
    "source_name": (
        "FILE:2: sources[0].name: found text 'Research Group'; must be 1 to 63 of a-z, 0-9, dash, dot and underscore"
    ),
    "source_name_number": (
        "FILE:2: sources[0].name: found a whole number (42); must be 1 to 63 of a-z, 0-9, dash, dot and "
        "underscore; write it in quotes"
    ),
    "source_name_twice": ("FILE:4: sources[2]: the name 'a' is taken by a source above; names of sources must be unique"),
    "source_option_choice": ("FILE:5: sources[0].region: found text 'us'; allowed: eu-de, us-east"),
    "source_option_required": ("FILE:2: sources[0].instance: nothing is given; this key is required: the instance to ask"),
    "source_option_type": ("FILE:5: sources[0].page_size: found text 'many'; must be a whole number from 1 to 2147483647"),
    "source_option_unknown": (
        "FILE:5: sources[0].instanse: unknown key; allowed: allow_hosts, credentials, labels, name, poll, tags, type, url"
    ),
    "source_type_missing": ("FILE:2: sources[0]: no type is given; allowed: cloud, lab"),
    "source_type_unknown": ("FILE:3: sources[0].type: found text 'labb'; did you mean lab? allowed: cloud, lab"),
    "source_url_password": (
        "FILE:4: sources[0].url: found a URL with more than host and path (not shown); must hold no user, "
        "password, query or fragment; use credentials for secrets"
    ),
    "source_url_plain_http": (
        "FILE:4: sources[0].url: found text 'http://cloud.example'; must be https; plain http is allowed for a "
        "server on this machine only"
    ),
    "store_directory": (
        "FILE:1: store: found a URL of scheme 'sqlite'; must be sqlite:///absolute/path/to/file.db or "
        "sqlite:relative/file.db; this version stores in SQLite only"
    ),
    "store_postgresql": (
        "FILE:1: store: found a URL of scheme 'postgresql'; must be sqlite:///absolute/path/to/file.db or "
        "sqlite:relative/file.db; this version stores in SQLite only"
    ),
    "syntax_alias": (
        "FILE:4: (top level): not YAML: found undefined alias (text not shown); check the indentation, quotes and "
        "brackets around this line"
    ),
    "syntax_bracket": (
        "FILE:3: (top level): not YAML: expected ',' or '}', but got '<stream end>'; check the indentation, "
        "quotes and brackets around this line"
    ),
    "syntax_tab": (
        "FILE:2: (top level): not YAML: found character '\\t' that cannot start any token; check the indentation, "
        "quotes and brackets around this line"
    ),
    "syntax_two_documents": (
        "FILE:2: (top level): not YAML: expected a single document in the stream but found another document; "
        "check the indentation, quotes and brackets around this line"
    ),
    "tag_does_not_compile": (
        "FILE:4: sources[0].tags.experiment: found text 'exp:(?P<experiment>[\\\\w-]+': missing ), unterminated "
        "subpattern; must be a regular expression"
    ),
    "tag_unknown_group": (
        "FILE:4: sources[0].tags.experiment: found the group 'experimnt'; did you mean experiment? allowed: "
        "batch, circuit_hash, cost_center, environment_hash, experiment, name, parameter_hash, parent_run, "
        "priority, sdk, sdk_version, team, trace_id, workload"
    ),
    "tag_without_group": (
        "FILE:4: sources[0].tags.experiment: found text 'exp:.*' has no named group; name a group after the job "
        "field it fills, such as (?P<experiment>...)"
    ),
    "tier_text": ("FILE:2: tier.full: found text 'ibm_fez'; must be a list"),
    "two_mistakes_at_once": (
        "FILE:1: listen: found text 'everywhere'; must be host:port such as 127.0.0.1:9954 or [::1]:9954\nFILE:3: "
        "log.level: found text 'loud'; allowed: debug, error, info, warning"
    ),
    "unknown_nested_key": ("FILE:4: log.lvl: unknown key; did you mean level? allowed: format, level"),
    "unknown_top_level_key": (
        "FILE:2: lisen: unknown key; did you mean listen? allowed: backups, generate, indicators, limits, listen, log, "
        "maintenance, otlp, reference, retention, slo, sources, store, tier"
    ),
}


def test_every_broken_file_is_in_the_table() -> None:
    """A file nobody looks at would let its message rot."""
    assert sorted(path.stem for path in BAD.glob("*.yaml")) == sorted(MESSAGES)
    assert len(MESSAGES) >= 25


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_broken_file_is_answered_with_its_exact_message(
    name: str, source_types: Mapping[str, SourceType], environ: Mapping[str, str], tmp_path: Path
) -> None:
    """An operator must learn file, line, key, what was found and what is allowed from one line."""
    path = tmp_path / "qobs.yaml"
    path.write_bytes((BAD / f"{name}.yaml").read_bytes())
    path.chmod(0o644)
    (tmp_path / "empty_secret").touch()
    with pytest.raises(ConfigError) as caught:
        load(path, source_types, environ=environ)
    assert str(caught.value).replace(str(path), "FILE") == MESSAGES[name]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_no_message_repeats_a_secret(name: str) -> None:
    """A secret in the wrong place must not travel into a terminal, a log or a ticket."""
    assert not re.search("hunter2", MESSAGES[name])
