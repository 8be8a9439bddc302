"""Credentials: where each secret is kept, and readers that see a rotated one on the next call.

No finding here shows a word of the file that could be a secret, known key names apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qobs.config.document import Node, Scalar, Table
from qobs.config.kinds import Report, Schema
from qobs.errors import ConfigError, Finding
from qobs.secret import Secret

MAX_SECRET_BYTES = 64 << 10

OnSecret = Callable[[Secret], None]
Reader = Callable[[], Secret]


class FileSecret:
    """Reads a secret from a file, again whenever the file changed; whitespace around it is dropped.

    Once it was read, a file that is gone or empty for a moment (a rotation in progress) leaves the last value in use.
    """

    def __init__(self, path: Path, on_secret: OnSecret) -> None:
        """Nothing is read before the first call."""
        self._path = path
        self._on_secret = on_secret
        self._seen: tuple[tuple[int, int, int], Secret] | None = None

    def __repr__(self) -> str:
        """The place, not the value."""
        return f"file {self._path}"

    def __call__(self) -> Secret:
        """The current value.

        Raises:
            ConfigError: the file was never readable.
        """
        try:
            stat = self._path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._seen is not None and self._seen[0] == mark:
                return self._seen[1]
            secret = Secret(_content(self._path))
        except (OSError, ValueError) as problem:
            if self._seen is not None:
                return self._seen[1]
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            hint = "must be a readable file that holds the secret and nothing else"
            raise ConfigError(
                (Finding(str(self._path), "", f"the secret cannot be read: {reason}", hint, "config.secret"),)
            ) from None
        self._seen = (mark, secret)
        self._on_secret(secret)
        return secret


class FixedSecret:
    """A secret that does not change while the process runs: from the environment, or inline. ``origin`` names the place."""

    def __init__(self, secret: Secret, origin: str) -> None:
        """Keep the value wrapped."""
        self._secret = secret
        self._origin = origin

    def __repr__(self) -> str:
        """The place, not the value."""
        return self._origin

    def __call__(self) -> Secret:
        """The value."""
        return self._secret


def _content(path: Path) -> str:
    """The file's text without surrounding whitespace.

    Raises:
        ValueError: empty, too long, or not text. The message holds nothing of the content.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_SECRET_BYTES + 1)
    if len(raw) > MAX_SECRET_BYTES:
        raise ValueError(f"it is longer than {MAX_SECRET_BYTES >> 10} KiB")
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if not text:
        raise ValueError("it is empty")
    return text


@dataclass(frozen=True, slots=True)
class Vault:
    """What credentials are read with: relative files start at ``base``; inline values need a ``private`` file."""

    base: Path
    environ: Mapping[str, str]
    private: bool
    on_secret: OnSecret


@dataclass(frozen=True, slots=True)
class Credentials:
    """The ``credentials`` of one source: exactly one of ``sets`` in full; an empty set means that none is fine."""

    sets: tuple[frozenset[str], ...]
    vault: Vault

    def read(self, node: Node, report: Report) -> Mapping[str, Reader] | None:
        """A reader for each key, or None after at least one finding."""
        if not isinstance(node, Table):
            report.error(
                node.place, f"found {node.kind} (not shown)", f"must be a mapping; {self.allowed()}", "config.credentials"
            )
            return None
        known = frozenset[str]().union(*self.sets)
        if stray := node.entries.keys() - known:
            found = f"found {len(stray)} unknown key{'s' if len(stray) > 1 else ''} (not shown)"
            report.error(node.place, found, self.allowed(), "config.credentials")
            return None
        if node.entries.keys() not in self.sets:
            found = f"found {', '.join(sorted(node.entries)) or 'none'}"
            report.error(node.place, found, self.allowed(), "config.credentials")
            return None
        readers = {name: self._reader(child, report) for name, child in node.entries.items()}
        good = {name: reader for name, reader in readers.items() if reader is not None}
        return good if len(good) == len(readers) else None

    def allowed(self) -> str:
        """In words: which keys, and the forms of a value."""
        choices = " or ".join(" with ".join(sorted(keys)) if keys else "none" for keys in self.sets)
        return f"allowed: {choices or 'none for this type'}, each as {{file: PATH}} or {{env: NAME}}"

    def schema(self) -> Schema:
        """An object with one of the sets of keys."""
        place = {"type": "string", "minLength": 1}
        ways = [
            {"type": "object", "additionalProperties": False, "required": [way], "properties": {way: place}}
            for way in ("file", "env")
        ]
        secret: Schema = {"anyOf": [*ways, {"type": "string", "description": "inline; the file's mode must be 0600"}]}
        choices = [
            {
                "type": "object",
                "additionalProperties": False,
                "required": sorted(keys),
                "properties": dict.fromkeys(sorted(keys), secret),
            }
            for keys in self.sets or (frozenset[str](),)
        ]
        return choices[0] if len(choices) == 1 else {"anyOf": choices}

    def _reader(self, node: Node, report: Report) -> Reader | None:
        if isinstance(node, Table) and len(node.entries) == 1:
            (way, child), *_ = node.entries.items()
            if isinstance(child, Scalar) and child.text and child.tag != "null":
                if way == "file" and "\0" not in child.text:
                    return self._from_file(child, report)
                if way == "env":
                    return self._from_environment(child, report)
        if isinstance(node, Scalar) and node.text and node.tag != "null":
            return self._inline(node, report)
        report.error(node.place, f"found {node.kind} (not shown)", "must be {file: PATH} or {env: NAME}", "config.credentials")
        return None

    def _from_file(self, node: Scalar, report: Report) -> Reader | None:
        reader = FileSecret(self.vault.base / node.text, self.vault.on_secret)
        try:
            reader()
        except ConfigError as problem:
            finding = problem.findings[0]
            report.error(node.place, f"{finding.found} ({node.text})", finding.hint, finding.code)
            return None
        return reader

    def _from_environment(self, node: Scalar, report: Report) -> Reader | None:
        value = self.vault.environ.get(node.text, "").strip()
        if not value:
            found = f"the environment variable {node.text} is not set or empty"
            report.error(node.place, found, "set it where the daemon is started", "config.secret")
            return None
        return self._fixed(value, f"env {node.text}")

    def _inline(self, node: Scalar, report: Report) -> Reader | None:
        hint = "move it to a file or the environment: {file: PATH} or {env: NAME}"
        if not self.vault.private:
            found = "an inline secret in a file that others may read (not shown)"
            report.error(node.place, found, f"{hint}; inline values need mode 0600", "config.secret_inline")
            return None
        report.warn(node.place, "an inline secret (not shown)", hint, "config.secret_inline")
        return self._fixed(node.text, "inline")

    def _fixed(self, value: str, origin: str) -> Reader:
        secret = Secret(value)
        self.vault.on_secret(secret)
        return FixedSecret(secret, origin)
