"""The figures of one calibration that a noise model needs, each looked up by hardware qubit, and what is wrong with them.

Nothing is filled in: a figure that is missing or impossible is None, and named in :attr:`Figures.degraded`. Two rules read more
than one entry, and say so there:

* a provider that publishes no table of its qubits (or gates), but medians over the device, has these for all of them;
* T2 above 2 T1 is read as 2 T1, which is the physical limit; where T2 alone is missing, relaxation is taken as pure T1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration
from qobs.reference.readout import ReadoutError


class Flaw(StrEnum):
    """Why a prediction says less than its calibration promised: a bounded word."""

    QUBIT_ABSENT = "qubit_absent"
    QUBIT_NOT_OPERATIONAL = "qubit_not_operational"
    T1_MISSING = "t1_missing"
    T1_IMPOSSIBLE = "t1_impossible"
    T2_MISSING = "t2_missing"
    T2_IMPOSSIBLE = "t2_impossible"
    READOUT_MISSING = "readout_missing"
    READOUT_IMPOSSIBLE = "readout_impossible"
    GATE_UNKNOWN = "gate_unknown"
    """The device has no figure for this gate on these qubits in this order."""
    GATE_FAULTY = "gate_faulty"
    """The provider's own mark: not calibrated."""
    GATE_ERROR_MISSING = "gate_error_missing"
    GATE_ERROR_IMPOSSIBLE = "gate_error_impossible"
    GATE_DURATION_MISSING = "gate_duration_missing"
    READOUT_DURATION_MISSING = "readout_duration_missing"
    RESET_UNKNOWN = "reset_unknown"
    """No provider publishes how well its reset works: taken as ideal."""
    SNAPSHOT_LATER = "snapshot_later"
    """The calibration was made after the job began."""


class Degraded(NamedTuple):
    """One thing that a prediction leaves out: hardware's own numbers of the qubits; ``gate`` empty: it is about a qubit."""

    flaw: Flaw
    qubits: tuple[int, ...]
    gate: str = ""


class Coherence(NamedTuple):
    """Relaxation times of one qubit in seconds; ``t2_seconds`` is at most twice ``t1_seconds``."""

    t1_seconds: float
    t2_seconds: float


class GateFigure(NamedTuple):
    """Average gate infidelity and duration. Both zero: done in software, without noise."""

    error: float
    seconds: float


VIRTUAL = frozenset({"rz", "p", "z", "s", "sdg", "t", "tdg"})
"""Rotations about z: a change of frame, free wherever the device publishes no figure for them."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "p": ("p", "u1", "phaseshift", "rz"),
    "u": ("u", "u3", "u2"),
    "r": ("r", "prx", "phasedx", "phased_xz", "u1q", "gpi2", "gpi"),
    "cx": ("cx", "cnot"),
    "ccx": ("ccx", "ccnot"),
    "rzz": ("rzz", "zz", "szz"),
    "rxx": ("rxx", "xx"),
    "cp": ("cp", "cphaseshift", "cu1"),
    "id": ("id", "i"),
    "sx": ("sx", "v"),
    "sxdg": ("sxdg", "vi"),
    "xx_plus_yy": ("xx_plus_yy", "xy"),
}
"""How providers call the gates of :data:`~qobs.reference.circuit.GATES` in their calibrations, where not by the same name."""

SYMMETRIC = frozenset({"cz", "cp", "cs", "csdg", "swap", "iswap", "rxx", "ryy", "rzz"})
"""Gates that are the same with their operands exchanged: a figure of either order is a figure of the gate."""


class Figures:
    """Looks figures up for some hardware qubits only, and remembers every flaw that was met, once, in order."""

    def __init__(self, calibration: Calibration, qubits: frozenset[int]) -> None:
        """Index what concerns ``qubits``: the rest of a large device costs one pass."""
        self._published: DeviceCalibration | None = calibration.published
        self._has_qubits, self._has_gates = bool(calibration.qubits), bool(calibration.gates)
        self._qubits = {entry.qubit: entry for entry in calibration.qubits if entry.qubit in qubits}
        known = (entry for entry in calibration.gates if qubits.issuperset(entry.qubits))
        self._gates = {(entry.gate.lower(), entry.qubits): entry for entry in known}
        self._flaws: dict[Degraded, None] = {}

    @property
    def degraded(self) -> tuple[Degraded, ...]:
        """Every flaw met so far."""
        return tuple(self._flaws)

    def note(self, flaw: Flaw, *qubits: int, gate: str = "") -> None:
        """Remember a flaw."""
        self._flaws[Degraded(flaw, qubits, gate)] = None

    def check(self, qubit: int) -> None:
        """Note a qubit that the calibration does not know, or that the provider took out of service."""
        if not self._has_qubits:
            return
        entry = self._qubits.get(qubit)
        if entry is None:
            self.note(Flaw.QUBIT_ABSENT, qubit)
        elif not entry.operational:
            self.note(Flaw.QUBIT_NOT_OPERATIONAL, qubit)

    def coherence(self, qubit: int) -> Coherence | None:
        """T1 and T2; None without a usable T1, and then the qubit does not relax in the model."""
        t1, t2 = self._figure(qubit, "t1_seconds"), self._figure(qubit, "t2_seconds")
        if t1 is None:
            self._unless_absent(Flaw.T1_MISSING, qubit)
            return None
        if not _positive(t1):
            self.note(Flaw.T1_IMPOSSIBLE, qubit)
            return None
        if t2 is None or not _positive(t2):
            self.note(Flaw.T2_MISSING if t2 is None else Flaw.T2_IMPOSSIBLE, qubit)
            t2 = 2 * t1
        return Coherence(t1, min(t2, 2 * t1))

    def readout(self, qubit: int) -> ReadoutError | None:
        """Both directions where both are known, else the one symmetric figure; None without a usable one."""
        one, zero = self._figure(qubit, "prob_meas1_prep0"), self._figure(qubit, "prob_meas0_prep1")
        mean = self._figure(qubit, "readout_error")
        if one is not None and zero is not None:
            found = ReadoutError(one, zero)
        elif mean is not None:
            found = ReadoutError(mean, mean, symmetric=True)
        else:
            self._unless_absent(Flaw.READOUT_MISSING, qubit)
            return None
        # An error of one is how uncalibrated readout is written, as it is with gates.
        if not (0 <= found.one_given_zero < 1 and 0 <= found.zero_given_one < 1):
            self.note(Flaw.READOUT_IMPOSSIBLE, qubit)
            return None
        return found

    def readout_seconds(self, qubit: int, *, matters: bool) -> float:
        """Duration of a measurement; 0 where it is not known, which is noted where it ``matters``."""
        seconds = self._figure(qubit, "readout_seconds")
        if seconds is not None and isfinite(seconds) and seconds >= 0:
            return seconds
        if matters:
            self._unless_absent(Flaw.READOUT_DURATION_MISSING, qubit)
        return 0.0

    def gate(self, name: str, qubits: tuple[int, ...]) -> GateFigure | None:
        """Error and duration of a gate on ordered qubits; None where the model leaves the gate without noise.

        A gate of three qubits never has noise: no provider whose calibration is read tells a figure of one.
        """
        entry = self._entry(name, qubits)
        if entry is not None and len(qubits) < 3:
            return self._usable(name, qubits, entry.error, entry.duration_seconds, faulty=entry.faulty)
        if name in VIRTUAL:
            return GateFigure(0.0, 0.0)
        published = self._published
        if self._has_gates or published is None or len(qubits) > 2:
            self.note(Flaw.GATE_UNKNOWN, *qubits, gate=name)
            return None
        if len(qubits) == 1:
            return self._usable(name, qubits, _told(published.gate_error_1q), _told(published.gate_1q_seconds))
        return self._usable(name, qubits, _told(published.gate_error_2q), _told(published.gate_2q_seconds))

    def _usable(
        self, name: str, qubits: tuple[int, ...], error: Measured | None, duration: Measured | None, *, faulty: bool = False
    ) -> GateFigure | None:
        if faulty:
            self.note(Flaw.GATE_FAULTY, *qubits, gate=name)
        elif error is None:
            self.note(Flaw.GATE_ERROR_MISSING, *qubits, gate=name)
        elif not 0 <= error.value < 1:
            self.note(Flaw.GATE_ERROR_IMPOSSIBLE, *qubits, gate=name)
        else:
            return GateFigure(error.value, self._seconds(name, qubits, error.value, duration))
        return None

    def _seconds(self, name: str, qubits: tuple[int, ...], error: float, duration: Measured | None) -> float:
        if duration is not None and isfinite(duration.value) and duration.value >= 0:
            return duration.value
        if error > 0:
            self.note(Flaw.GATE_DURATION_MISSING, *qubits, gate=name)
        return 0.0

    def _entry(self, name: str, qubits: tuple[int, ...]) -> GateCalibration | None:
        orders = (qubits, qubits[::-1]) if name in SYMMETRIC else (qubits,)
        for alias in NAMES.get(name, (name,)):
            for order in orders:
                if (entry := self._gates.get((alias, order))) is not None:
                    return entry
        return None

    def _figure(self, qubit: int, field: str) -> float | None:
        if not self._has_qubits:
            # Device-level figures know neither direction of a readout error.
            return getattr(self._published, field, None)
        entry: QubitCalibration | None = self._qubits.get(qubit)
        measured: Measured | None = getattr(entry, field, None)
        return None if measured is None else measured.value

    def _unless_absent(self, flaw: Flaw, qubit: int) -> None:
        # A qubit that is not there lacks everything: said once.
        if not self._has_qubits or qubit in self._qubits:
            self.note(flaw, qubit)


def _positive(value: float) -> bool:
    return isfinite(value) and value > 0


def _told(value: float | None) -> Measured | None:
    return None if value is None else Measured(value)
