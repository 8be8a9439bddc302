"""Real IBM snapshots behind the emulated devices: configuration as it was, properties moved to the lab's time.

The files in ``data/ibm`` are properties and configuration bodies from the fake provider of qiskit-ibm-runtime 0.51.0
(Apache-2.0). IBM's service sends times in UTC with ``Z``; the files carry the offset of the machine they were saved on, so
the times are rewritten. Values move a little from calibration to calibration, by a draw from (seed, backend, time).
"""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import resources
from typing import Any

from qobs.lab.circuits import MOST_QUBITS, Noise
from qobs.lab.world import Cloud, LabBackend

Body = dict[str, Any]

DEVICES = ("ibm_fez", "ibm_kingston", "ibm_torino")
"""Backends with a snapshot of their own."""

_STAND_IN = "ibm_torino"
"""Whose snapshot serves a backend of another name."""

_SPREADS = {
    "T1": 0.04,
    "T2": 0.05,
    "readout_error": 0.06,
    "prob_meas0_prep1": 0.06,
    "prob_meas1_prep0": 0.06,
    "gate_error": 0.06,
}
"""Relative spread (log-normal sigma) of a value from one calibration to the next; other values stay."""


_PLACES = 6
"""Chains of good qubits that jobs are placed on."""

_USABLE = 0.06
"""Largest error of a gate or reading that a chain is made of."""


def iso(at: datetime) -> str:
    """A time as IBM's service writes it.

    Example:
        >>> iso(datetime(2026, 4, 15, 7, 15, 15, tzinfo=UTC))
        '2026-04-15T07:15:15Z'
    """
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def load(kind: str, backend: str) -> Body:
    """The bundled snapshot of ``backend``: ``kind`` is ``props`` or ``conf``."""
    name = (backend if backend in DEVICES else _STAND_IN).removeprefix("ibm_")
    packed = (resources.files("qobs.lab") / "data" / "ibm" / f"{kind}_{name}.json.gz").read_bytes()
    body: Body = json.loads(gzip.decompress(packed))
    return body | {"backend_name": backend}


class _Figures:
    """What a properties body says of errors: by qubit and by pair."""

    def __init__(self, body: Body) -> None:
        self.misread = {qubit: _misread(parameters) for qubit, parameters in enumerate(body["qubits"])}
        errors = {(gate["gate"], *gate["qubits"]): _value(gate["parameters"], "gate_error") for gate in body["gates"]}
        self.one = {key[1]: error for key, error in errors.items() if key[0] == "sx"}
        self.two: dict[tuple[int, int], float] = {}
        for key, error in errors.items():
            if key[0] == "cz":
                low, high = sorted(key[1:])
                self.two[low, high] = error
        self._next: dict[int, list[int]] = {}
        for low, high in self.two:
            self._next.setdefault(low, []).append(high)
            self._next.setdefault(high, []).append(low)

    def chain(self, begun: tuple[int, ...], taken: set[int]) -> tuple[int, ...]:
        """A way on from ``begun`` over usable neighbours to 5 qubits, the best one tried first; empty where there is none."""
        if len(begun) == MOST_QUBITS:
            return begun
        here = begun[-1]
        ahead = [qubit for qubit in self._next.get(here, ()) if qubit not in taken and qubit not in begun]
        for qubit in sorted(ahead, key=lambda there: (self._error(here, there), there)):
            if self._error(here, qubit) < _USABLE and (found := self.chain((*begun, qubit), taken)):
                return found
        return ()

    def _error(self, here: int, there: int) -> float:
        return max(self.two[min(here, there), max(here, there)], self.one.get(there, 1.0), *self.misread[there])

    def noise(self, physical: tuple[int, ...]) -> Noise:
        """The figures by place in the chain."""
        pairs = {(place, place + 1): tuple(sorted(physical[place : place + 2])) for place in range(len(physical) - 1)}
        return Noise(
            {place: self.one[qubit] for place, qubit in enumerate(physical)},
            {pair: self.two[low, high] for pair, (low, high) in pairs.items()},
            {place: self.misread[qubit] for place, qubit in enumerate(physical)},
        )


def _misread(parameters: list[Body]) -> tuple[float, float]:
    return _value(parameters, "prob_meas1_prep0"), _value(parameters, "prob_meas0_prep1")


def _value(parameters: list[Body], name: str) -> float:
    """A figure by its name; 1, the worst, where it is missing."""
    return next((float(parameter["value"]) for parameter in parameters if parameter["name"] == name), 1.0)


@dataclass
class Device:
    """One emulated device: what its configuration and properties say at a given time."""

    backend: LabBackend
    seed: int
    _served: dict[datetime, bytes] = field(default_factory=dict)
    _noisy: dict[datetime, _Figures] = field(default_factory=dict)

    @cached_property
    def configuration(self) -> Body:
        """The configuration body."""
        return load("conf", self.backend.name) | {"simulator": self.backend.simulator}

    @cached_property
    def _snapshot(self) -> Body:
        return load("props", self.backend.name)

    def properties(self, now: datetime) -> bytes:
        """The properties body of the last calibration at or before ``now``, as JSON."""
        at = self.backend.calibrated_at(now)
        if at not in self._served:
            while len(self._served) >= 4:
                self._served.pop(next(iter(self._served)))
            self._served[at] = json.dumps(self._calibrated(at), separators=(",", ":")).encode()
        return self._served[at]

    @cached_property
    def chains(self) -> tuple[tuple[int, ...], ...]:
        """Chains of 5 coupled qubits whose figures in the snapshot are good, none of them sharing a qubit."""
        figures = _Figures(self._snapshot)
        found: list[tuple[int, ...]] = []
        taken: set[int] = set()
        for start in sorted(figures.misread, key=lambda qubit: sum(figures.misread[qubit])):
            chain = figures.chain((start,), taken) if start not in taken else ()
            found += [chain] if chain else []
            taken.update(chain)
            if len(found) == _PLACES:
                break
        return tuple(found)

    def place(self, job_id: str, width: int) -> tuple[int, ...]:
        """The hardware qubits that a job's circuit of ``width`` qubits runs on."""
        return random.Random(f"{job_id}:place").choice(self.chains)[:width]

    def noise(self, physical: tuple[int, ...], at: datetime) -> Noise:
        """Errors of a chain by the calibration in force at ``at``, whether or not it was published."""
        calibrated = self.backend.calibrated_at(at)
        if calibrated not in self._noisy:
            while len(self._noisy) >= 4:
                self._noisy.pop(next(iter(self._noisy)))
            self._noisy[calibrated] = _Figures(self._calibrated(calibrated))
        return self._noisy[calibrated].noise(physical)

    def _calibrated(self, at: datetime) -> Body:
        draw = random.Random(f"{self.seed}:{self.backend.name}:{at.isoformat()}")
        moved = at - datetime.fromisoformat(self._snapshot["last_update_date"])
        gates = [gate | {"parameters": _moved(gate["parameters"], moved, draw)} for gate in self._snapshot["gates"]]
        return self._snapshot | {
            "last_update_date": iso(at),
            "qubits": [_moved(qubit, moved, draw) for qubit in self._snapshot["qubits"]],
            "gates": gates,
            "general": _moved(self._snapshot["general"], moved, draw),
        }


def _moved(parameters: list[Body], moved: timedelta, draw: random.Random) -> list[Body]:
    return [
        parameter | {"date": iso(datetime.fromisoformat(parameter["date"]) + moved), "value": _jitter(parameter, draw)}
        for parameter in parameters
    ]


def _jitter(parameter: Body, draw: random.Random) -> float:
    """The value of this calibration. Zeros and the "not calibrated" mark (an error of exactly 1) stay what they are."""
    value, spread = parameter["value"], _SPREADS.get(parameter["name"])
    if spread is None or value == 0:
        return float(value) if isinstance(value, float) else int(value)
    drawn = draw.lognormvariate(0.0, spread)
    if parameter["unit"] == "":
        return 1 if value == 1 else float(min(value * drawn, 0.999))
    return float(value * drawn)


def devices(cloud: Cloud) -> dict[str, Device]:
    """The devices of a cloud by backend name."""
    return {backend.name: Device(backend, cloud.seed) for backend in cloud.backends}
