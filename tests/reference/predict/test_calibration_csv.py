"""IBM's dashboard exports, whatever columns they have, and what is wrong with broken ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest

from qobs.cli.calibration_files import read_calibration
from qobs.errors import BadPayload
from qobs.model import GateCalibration, Measured
from qobs.sources.quantum import ibm_csv

ALL = sorted((Path(__file__).parents[4] / "shared" / "data" / "quantum" / "ibm_calibration_csv").glob("*.csv"))
NAME = "ibm_test_calibrations_2025-07-01T20_15_50Z.csv"
HEAD = "Qubit,T1 (us),T2 (us),Readout assignment error,√x (sx) error,CZ error,Gate time (ns)"


def sane(calibration):
    """Units that a superconducting device can have."""
    t1 = [qubit.t1_seconds.value for qubit in calibration.qubits if qubit.t1_seconds]
    readout = [qubit.readout_error.value for qubit in calibration.qubits if qubit.readout_error]
    pairs = [gate for gate in calibration.gates if len(gate.qubits) == 2 and gate.error]
    lengths = [gate.duration_seconds.value for gate in pairs if gate.duration_seconds]
    assert 3e-5 < median(t1) < 1e-3
    assert 1e-3 < median(readout) < 0.1
    assert len(calibration.qubits) in (127, 133, 156)
    assert [qubit.qubit for qubit in calibration.qubits] == list(range(len(calibration.qubits)))
    if pairs:
        assert 1e-3 < median(gate.error.value for gate in pairs) < 0.05
        assert all(2e-8 < length < 2e-6 for length in lengths)
        assert len(lengths) > 100
    frequencies = [qubit.frequency_hertz.value for qubit in calibration.qubits if qubit.frequency_hertz]
    assert all(4e9 < frequency < 6e9 for frequency in frequencies)


def test_exports_of_all_shapes_are_read(unpacked):
    """Columns came, went and changed their names; five devices and two years are here."""
    found = [read_calibration(path) for path in sorted(unpacked.glob("*.csv"))]
    assert len(found) == 6
    for calibration in found:
        sane(calibration)
    assert {calibration.backend for calibration in found} == {"ibm_kyiv", "ibm_osaka", "ibm_sherbrooke", "ibm_torino"}
    # The oldest has no column `Operational`, the newest has CZ instead of ECR.
    assert {gate.gate for gate in found[1].gates} == {"id", "sx", "x", "ecr"}
    assert {gate.gate for gate in found[4].gates} == {"id", "rx", "rz", "sx", "x", "cz", "rzz"}


@pytest.mark.skipif(not ALL, reason="the full collection of exports is not on this machine")
def test_all_exports_of_the_collection_are_read():
    """Every real file that is at hand, with nothing left over that was not understood."""
    for path in ALL:
        calibration, unmapped = ibm_csv.calibration(path.read_text(encoding="utf-8"), name=path.name)
        sane(calibration)
        assert unmapped == (), path.name
    assert len(ALL) == 48


def test_figures_are_converted_by_the_unit_of_their_column(unpacked):
    """A microsecond read as a second makes every prediction noiseless."""
    path = next(unpacked.glob("ibm_torino*07-01*.csv"))
    found = read_calibration(path)
    assert found.calibrated_at == datetime(2025, 7, 1, 20, 15, 50, tzinfo=UTC)
    first = found.qubits[0]
    assert first.t1_seconds == Measured(48.18372585365809 / 1e6)
    assert (first.prob_meas0_prep1, first.prob_meas1_prep0) == (Measured(0.13720703125), Measured(0.08544921875))
    assert first.readout_seconds == Measured(1560 / 1e9)
    gates = {(gate.gate, gate.qubits): gate for gate in found.gates}
    assert gates["cz", (0, 15)] == GateCalibration(
        gate="cz", qubits=(0, 15), error=Measured(0.003587123792988145), duration_seconds=Measured(68 / 1e9)
    )
    assert gates["sx", (0,)].duration_seconds == Measured(32 / 1e9)
    assert gates["rz", (0,)].duration_seconds == Measured(0.0)
    assert gates["rzz", (1, 2)].duration_seconds is None


def test_directed_gates_keep_their_direction():
    """ECR is calibrated one way round; the other way is another gate."""
    text = HEAD.replace("CZ", "ECR") + "\n0,100,100,0.01,0.001,,\n1,100,100,0.01,0.001,1_0:0.007,1_0:660\n"
    found, _ = ibm_csv.calibration(text, name=NAME)
    assert [gate.qubits for gate in found.gates if gate.gate == "ecr"] == [(1, 0)]


def test_an_error_of_one_marks_a_gate_that_is_not_calibrated():
    """Taken for a figure, it would predict pure noise."""
    text = HEAD + "\n0,100,100,0.01,1,1:1,1:68\n1,100,100,0.01,0.001,0:0.002,0:68\n"
    found, _ = ibm_csv.calibration(text, name=NAME)
    assert [(gate.gate, gate.faulty, gate.error) for gate in found.gates][:2] == [("sx", True, None), ("cz", True, None)]
    assert [qubit.operational for qubit in found.qubits] == [False, True]


def test_cells_that_cannot_be_read_cost_only_themselves():
    """One odd cell must not lose a whole device, and must not become a zero."""
    text = HEAD + "\n0,fast,-3,7,undefined,x:0.1;1:0.003;2:nan;0:0.1,1:68\n0,1,1,0,0,,\n-4,1,1,0,0,,\n1,50,60,0.02,0.001,,\n"
    found, unmapped = ibm_csv.calibration(text, name=NAME)
    assert [qubit.qubit for qubit in found.qubits] == [0, 1]
    assert (found.qubits[0].t1_seconds, found.qubits[0].t2_seconds, found.qubits[0].readout_error) == (None, None, None)
    assert [(gate.gate, gate.qubits) for gate in found.gates] == [("cz", (0, 1)), ("sx", (1,))]
    assert {entry.value for entry in unmapped} >= {"not a number", "out of range", "not <qubit>:<value>", "a qubit twice"}


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        ("", NAME, "first column"),
        ("a,b\n1,2\n", NAME, "first column"),
        (HEAD + "\n0,1,1,0.1,0,,\n", "calibration.csv", "keep its name"),
        (HEAD + "\n0,1,1,0.1,0,,\n", "ibm_x_calibrations_2025-99-01T20_15_50Z.csv", "keep its name"),
        (HEAD + "\n" + "0\n" * 5000, NAME, "at most 4096"),
        ('"' + "x" * 200_000, NAME, "no CSV"),
    ],
)
def test_what_is_no_export_is_told(text, name, why):
    """A wrong file is a mistake of a minute if the message says which."""
    with pytest.raises(BadPayload, match=why):
        ibm_csv.calibration(text, name=name)


def test_an_unknown_column_is_counted():
    """New columns appear without notice: they are seen, and break nothing."""
    found, unmapped = ibm_csv.calibration(HEAD + ",Coffee\n0,100,100,0.01,0.001,,,black\n", name=NAME)
    assert len(found.qubits) == 1
    assert [entry.value for entry in unmapped] == ["Coffee"]
