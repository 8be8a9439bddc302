"""Configuration in: one YAML file and the environment become a :class:`Config`, or all findings at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qobs.config.catalogue import catalogue
from qobs.config.credentials import OnSecret, Vault
from qobs.config.document import MAX_BYTES, Node, Place, Table, compose, scalar
from qobs.config.kinds import Report
from qobs.config.records import Config
from qobs.config.sources import SourceTypeLike
from qobs.errors import ConfigError, Finding
from qobs.secret import Secret

OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "QOBS_LISTEN": ("listen",),
    "QOBS_STORE": ("store",),
    "QOBS_LOG_LEVEL": ("log", "level"),
    "QOBS_LOG_FORMAT": ("log", "format"),
}
"""Environment variables that win over the file, and the key that each one sets."""

NOT_YET_USED = ("otlp",)
"""Keys that are checked and kept, and that this version does not act on."""


def ignore_secret(secret: Secret) -> None:
    """Take no notice of a secret: what a caller without a redacting log passes."""


def load(
    path: Path,
    source_types: Mapping[str, SourceTypeLike],
    *,
    environ: Mapping[str, str] | None = None,
    on_secret: OnSecret = ignore_secret,
) -> Config:
    """The configuration in ``path``, with the environment's overrides.

    Args:
        path: The YAML file; relative paths inside it start at its directory.
        source_types: What ``type:`` of a source may be.
        environ: The environment; None: that of this process.
        on_secret: Is told every secret value as it is first read or changes, so that logs can redact it.

    Raises:
        ConfigError: with all findings.
    """
    text, private = _read(path)
    given = os.environ if environ is None else environ
    return parse(
        text,
        file=str(path),
        source_types=source_types,
        environ=given,
        base=path.absolute().parent,
        private=private,
        on_secret=on_secret,
    )


def parse(
    text: str,
    *,
    file: str,
    source_types: Mapping[str, SourceTypeLike],
    environ: Mapping[str, str],
    base: Path,
    private: bool = False,
    on_secret: OnSecret = ignore_secret,
) -> Config:
    """As :func:`load`, from text. ``private``: nobody else may read the file, so inline secrets are let through.

    Raises:
        ConfigError: with all findings.
    """
    tree = _overridden(compose(text, file), environ)
    report = Report()
    config = catalogue(source_types, base, Vault(base, environ, private, on_secret)).read(tree, report)
    if config is not None:
        _check_whole(config, tree, report)
    if config is None or report.errors:
        raise ConfigError(tuple(sorted(report.errors, key=lambda finding: finding.line or 0)))
    used = tree.entries.keys() if isinstance(tree, Table) else frozenset[str]()
    unused = tuple(name for name in NOT_YET_USED if name in used)
    return replace(config, file=file, unused=unused, warnings=tuple(report.warnings))


def _read(path: Path) -> tuple[str, bool]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not a path"
        raise _unreadable(path, f"the file cannot be read: {reason}", "give the path of a readable YAML file") from None
    if len(raw) > MAX_BYTES:
        raise _unreadable(path, f"the file is longer than {MAX_BYTES >> 20} MiB", "a configuration is a few pages of YAML")
    try:
        return raw.decode("utf-8-sig"), not stat.S_IMODE(mode) & 0o077
    except UnicodeDecodeError as problem:
        found = f"the file is not UTF-8 text (byte {problem.start})"
        raise _unreadable(path, found, "save it as UTF-8") from None


def _unreadable(path: Path, found: str, hint: str) -> ConfigError:
    return ConfigError((Finding(str(path), "", found, hint, "config.unreadable"),))


def _overridden(tree: Node, environ: Mapping[str, str]) -> Node:
    for variable, keys in OVERRIDES.items():
        if value := environ.get(variable, ""):
            tree = _put(tree, keys, scalar(value, Place(f"${variable}", ".".join(keys), None)))
    return tree


def _put(tree: Node, keys: tuple[str, ...], value: Node) -> Node:
    """The tree with ``value`` at ``keys``; where something other than a mapping stands in the way, unchanged."""
    if not isinstance(tree, Table):
        return tree
    first, *rest = keys
    child = tree.entries.get(first, Table(tree.place.below(first, None), {}))
    return Table(tree.place, {**tree.entries, first: _put(child, tuple(rest), value) if rest else value})


def _check_whole(config: Config, tree: Node, report: Report) -> None:
    """Rules that need more than one key."""
    entries = tree.entries if isinstance(tree, Table) else {}
    _check_names(config, _children(entries.get("sources")), report)
    for window, node in zip(config.maintenance, _children(entries.get("maintenance")), strict=True):
        if window.from_at >= window.to_at:
            report.error(node.place, "the window ends before it begins", "`from` must lie before `to`")


def _check_names(config: Config, nodes: tuple[Node, ...], report: Report) -> None:
    seen: set[str] = set()
    for source, node in zip(config.sources, nodes, strict=True):
        if source.name in seen:
            found = f"the name {source.name!r} is taken by a source above"
            report.error(node.place, found, "names of sources must be unique", "config.duplicate")
        seen.add(source.name)


def _children(node: Node | None) -> tuple[Node, ...]:
    return tuple(getattr(node, "items", ()))
