"""A calibration from a file, whatever provider it came from: the kind is recognised by what the file holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from qobs.errors import ConfigError, Finding, SourceError
from qobs.model import Batch, Calibration, Raw, Stream

MOST_BYTES = 64 * 1024 * 1024
RECOGNISED = (
    "recognised are IBM backend properties (JSON), IBM's dashboard export (CSV, under the name it was given), "
    "IonQ characterizations and qobs' own calibration JSON"
)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""When a file was fetched is not known, and nothing that is read here depends on it."""


def read_calibration(path: Path) -> Calibration:
    """The calibration that a file holds.

    Raises:
        ConfigError: it is no calibration of a recognised kind, or not a whole one.
        OSError: it cannot be read.
    """
    body = read_bounded(path)
    text = body.decode("utf-8-sig", "replace")
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(path, body, text)
    from qobs.sources.quantum import ibm_csv

    if not ibm_csv.is_export(text):
        _refuse(path, "no calibration file", RECOGNISED)
    try:
        return ibm_csv.calibration(text, name=path.name)[0]
    except SourceError as error:
        _refuse(path, str(error), RECOGNISED)


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file of at most ``most``.

    Raises:
        ConfigError: it is larger.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        body = file.read(most + 1)
    if len(body) > most:
        _refuse(path, f"a file of more than {most} bytes", f"at most {most} are read")
    return body


def _from_json(path: Path, body: bytes, text: str) -> Calibration:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"no JSON: {str(error)[:200]}", RECOGNISED)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if isinstance(document, dict) and isinstance(found := document.get("characterizations"), list) and len(found) == 1:
        document = found[0]
    if not isinstance(document, dict):
        _refuse(path, f"a JSON {type(document).__name__} at the top", RECOGNISED)
    try:
        return _record(path, body, document)
    except SourceError as error:
        _refuse(path, str(error)[:300], RECOGNISED)


def _record(path: Path, body: bytes, document: dict[str, Any]) -> Calibration:
    if "calibrated_at" in document:
        return _normalized(path, document)
    if "last_update_date" in document:
        return _ibm(path, body)
    if "fidelity" in document or "timing" in document:
        return _ionq(path, document)
    return _refuse(path, f"JSON with the keys {', '.join(map(repr, sorted(document)[:6]))}", RECOGNISED)


def _ibm(path: Path, body: bytes) -> Calibration:
    from qobs.sources.quantum.ibm_calibration import calibration
    from qobs.sources.quantum.ibm_jobs import Owner

    raw = Raw(stream=Stream.CALIBRATIONS, kind="properties", body=body.removeprefix(b"\xef\xbb\xbf"), fetched_at=_NO_TIME)
    batch: Batch = calibration(raw, Owner(source="file", account=""))
    if not batch.calibrations:
        reason = batch.quarantined[0].reason if batch.quarantined else "empty"
        _refuse(path, f"IBM backend properties that cannot be read: {reason}", RECOGNISED)
    return batch.calibrations[0]


def _ionq(path: Path, document: dict[str, Any]) -> Calibration:
    from qobs.sources.decode import BadRecord
    from qobs.sources.quantum.ionq_devices import read_characterization

    try:
        return read_characterization(document, source="file", account="", backend="ionq")[0]
    except BadRecord as bad:
        _refuse(path, f"an IonQ characterization that cannot be read: {bad.reason}", RECOGNISED)


def _normalized(path: Path, document: dict[str, Any]) -> Calibration:
    import msgspec

    try:
        found: Calibration = msgspec.convert({"source": "file", "account": "", **document}, Calibration)
    except msgspec.ValidationError as error:
        _refuse(path, f"a calibration that cannot be read: {error}", "the form that qobs itself writes")
    if found.calibrated_at.tzinfo is None:
        _refuse(path, "`calibrated_at` without a zone", "an ISO 8601 time with a zone, such as 2026-11-22T12:00:00Z")
    return found


def _refuse(path: Path, found: str, hint: str) -> NoReturn:
    raise ConfigError((Finding(file=str(path), path="", found=found, hint=hint, code="calibration.invalid"),))
