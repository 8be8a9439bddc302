"""What a calibration becomes, figure by figure, and what is said where one is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from qobs.model import Calibration, DeviceCalibration
from qobs.reference.channels import noise_ptm, superoperator
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.noise import Relaxation, esp, noise_model, success
from qobs.reference.noise_figures import Degraded, Flaw
from qobs.reference.readout import ReadoutError
from qobs.sources.quantum.ionq_devices import read_characterization

Make = Callable[..., Any]
FIXTURES = Path(__file__).parents[2] / "fixtures"
SNAPSHOTS = {
    "manila": (0, 1, 2, 3, 4),
    "perth": (0, 1, 3, 5),
    "lagos": (6, 5, 3, 1, 2, 0),
    "torino": (4, 5, 6, 15),
    "brisbane": (10, 11, 12),
    "sherbrooke": (3, 4, 5, 15),
}


@pytest.fixture
def bell(make_circuit: Make) -> Circuit:
    """On hardware qubits 7 and 3."""
    return make_circuit(("sx", (0,)), ("cz", (0, 1)), ("measure", (0,), 0), ("measure", (1,), 1), physical=(7, 3))


@pytest.fixture
def good(make_calibration: Make, make_qubit: Make, make_gate: Make) -> Calibration:
    """Everything that :func:`bell` needs."""
    return make_calibration((make_qubit(3), make_qubit(7)), (make_gate("sx", 7), make_gate("cz", 7, 3, error=0.02)))


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_every_gate_of_a_real_device_has_aers_channel(name: str, read_device: Make, make_circuit: Make) -> None:
    """Equal to 1e-10 on real figures: T2 on both sides of T1, errors below relaxation, two-qubit order, readout."""
    device = read_device(name, SNAPSHOTS[name])
    theirs = device.aer._local_quantum_errors
    rows = [(kind, (place,)) for place in range(len(device.qubits)) for kind in ("sx", "x")]
    rows += [(kind, (first, second), (0.1,) * GATES[kind].params) for kind, first, second in device.pairs]
    circuit = make_circuit(*rows, width=len(device.qubits), physical=device.qubits)
    model = noise_model(device.calibration, circuit, idle=False)
    compared = 0
    for operation, noise in zip(circuit.operations, model.gates, strict=True):
        if noise is not None:
            expected = theirs[operation.name][operation.qubits].to_quantumchannel()
            assert abs(superoperator(noise_ptm(noise)) - expected.data).max() < 1e-10
            compared += 1
    assert compared == len(circuit.operations) > len(device.qubits)
    assert model.degraded == ()


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_readout_of_a_real_device_is_aers(name: str, read_device: Make, make_circuit: Make) -> None:
    """Both directions, each on its own qubit: the mean alone loses that excited qubits are read worse."""
    device = read_device(name, SNAPSHOTS[name])
    theirs = device.aer._local_readout_errors
    circuit = make_circuit(*(("measure", (place,), place) for place in range(len(device.qubits))), physical=device.qubits)
    model = noise_model(device.calibration, circuit)
    assert model.readout.keys() == set(range(len(device.qubits)))
    for place, error in model.readout.items():
        # Aer's rows are what was prepared, ours are what is told.
        assert pytest.approx(theirs[(place,)].probabilities, abs=1e-12) == error.matrix().T
        assert not error.symmetric


def test_figures_are_looked_up_by_hardware_qubit(good: Calibration, bell: Circuit) -> None:
    """A circuit names dense qubits; the calibration of qubit 0 is another qubit's."""
    model = noise_model(good, bell, idle=False)
    assert model.degraded == ()
    assert model.inconsistent == ()
    assert [noise.error if noise else None for noise in model.gates] == [0.01, 0.02, None, None]
    assert model.readout == {0: ReadoutError(0.02, 0.06), 1: ReadoutError(0.02, 0.06)}


@pytest.mark.parametrize(
    ("figures", "flaw"),
    [
        ({"t1_seconds": None}, Flaw.T1_MISSING),
        ({"t1_seconds": float("nan")}, Flaw.T1_IMPOSSIBLE),
        ({"t1_seconds": 0.0}, Flaw.T1_IMPOSSIBLE),
        ({"t1_seconds": -1e-6}, Flaw.T1_IMPOSSIBLE),
        ({"t1_seconds": float("inf")}, Flaw.T1_IMPOSSIBLE),
        ({"t2_seconds": None}, Flaw.T2_MISSING),
        ({"t2_seconds": 0.0}, Flaw.T2_IMPOSSIBLE),
        ({"prob_meas0_prep1": None}, Flaw.READOUT_MISSING),
        ({"prob_meas0_prep1": 1.0}, Flaw.READOUT_IMPOSSIBLE),
        ({"prob_meas1_prep0": float("nan")}, Flaw.READOUT_IMPOSSIBLE),
        ({"operational": False}, Flaw.QUBIT_NOT_OPERATIONAL),
    ],
)
def test_bad_figure_of_a_qubit_is_named(
    figures: dict[str, Any], flaw: Flaw, good: Calibration, bell: Circuit, make_calibration: Make, make_qubit: Make
) -> None:
    """A prediction that quietly assumes a good qubit calls the device worse than it promised."""
    model = noise_model(make_calibration((make_qubit(3, **figures), make_qubit(7)), good.gates), bell)
    assert model.degraded == (Degraded(flaw, (3,)),)
    # The other qubit keeps its noise.
    assert model.gates[0] is not None
    assert 0 in model.readout


@pytest.mark.parametrize(
    ("figures", "flaw"),
    [
        ({"error": None, "faulty": True}, Flaw.GATE_FAULTY),
        ({"error": None}, Flaw.GATE_ERROR_MISSING),
        ({"error": 1.0}, Flaw.GATE_ERROR_IMPOSSIBLE),
        ({"error": float("nan")}, Flaw.GATE_ERROR_IMPOSSIBLE),
        ({"error": -0.1}, Flaw.GATE_ERROR_IMPOSSIBLE),
    ],
)
def test_gate_without_a_usable_error_has_no_noise_and_is_named(
    figures: dict[str, Any], flaw: Flaw, good: Calibration, bell: Circuit, make_calibration: Make, make_gate: Make
) -> None:
    """Neither a median nor a neighbour's figure may stand in for it."""
    model = noise_model(make_calibration(good.qubits, (good.gates[0], make_gate("cz", 7, 3, **figures))), bell, idle=False)
    assert model.degraded == (Degraded(flaw, (7, 3), "cz"),)
    assert model.gates[1] is None


def test_gate_without_a_duration_is_depolarising_alone_and_named(
    good: Calibration, bell: Circuit, make_calibration: Make, make_gate: Make
) -> None:
    """The reported error holds without the time; how much of it is relaxation does not."""
    model = noise_model(make_calibration(good.qubits, (good.gates[0], make_gate("cz", 7, 3, seconds=None))), bell, idle=False)
    assert model.degraded == (Degraded(Flaw.GATE_DURATION_MISSING, (7, 3), "cz"),)
    noise = model.gates[1]
    assert noise is not None
    assert noise.relaxation == (None, None)
    assert noise.depolarizing == pytest.approx(0.01 * 4 / 3)


def test_unknown_length_of_a_measurement_is_named_where_something_waits_for_it(
    good: Calibration, make_circuit: Make, make_calibration: Make, make_qubit: Make
) -> None:
    """Old devices tell none; at the end of a circuit it changes nothing, and would be a false alarm."""
    calibration = make_calibration((make_qubit(3, readout_seconds=None), make_qubit(7)), good.gates)
    rows = (("cz", (0, 1)), ("measure", (1,), 0))
    assert noise_model(calibration, make_circuit(*rows, physical=(7, 3))).degraded == ()
    middle = make_circuit(*rows, ("cz", (0, 1)), physical=(7, 3))
    assert noise_model(calibration, middle).degraded == (Degraded(Flaw.READOUT_DURATION_MISSING, (3,)),)
    assert noise_model(calibration, middle, idle=False).degraded == ()


@pytest.mark.parametrize("name", ["kyoto", "kingston", "cusco", "yorktown", "miami", "armonk"])
def test_every_gate_of_a_whole_device_has_noise_or_is_free_or_is_named(name: str, read_device: Make) -> None:
    """Old and new devices, with faulty gates, absent T1 and impossible readout: nothing may fall between."""
    calibration = read_device(name, (0,)).calibration
    rewritten = {"u1": "p", "u2": "u", "u3": "u"}
    operations = []
    for listed in calibration.gates:
        kind = rewritten.get(listed.gate, listed.gate)
        operations.append(Operation(kind, listed.qubits, (0.1,) * GATES[kind].params))
    width = len(calibration.qubits)
    operations += [Operation("measure", (qubit,), (), (qubit,)) for qubit in range(width)]
    circuit = Circuit(width=width, operations=tuple(operations), clbits=width, physical=tuple(range(width)))
    model = noise_model(calibration, circuit, idle=False)
    named = {(entry.gate, entry.qubits) for entry in model.degraded}
    unread = {entry.qubits[0] for entry in model.degraded if entry.flaw in {Flaw.READOUT_MISSING, Flaw.READOUT_IMPOSSIBLE}}
    assert model.readout.keys() == set(range(width)) - unread
    for operation, noise in zip(operations, model.gates, strict=True):
        if operation.name != "measure":
            assert (noise is not None) + (operation.name in {"rz", "p"}) + ((operation.name, operation.qubits) in named) == 1


def test_qubit_that_the_device_does_not_have_is_named_once(good: Calibration, make_circuit: Make) -> None:
    """Counts of another device's circuit: the answer is one clear reason, not five."""
    model = noise_model(good, make_circuit(("rz", (0,), (0.1,)), ("measure", (0,), 0), physical=(400,)))
    assert model.degraded == (Degraded(Flaw.QUBIT_ABSENT, (400,)),)


def test_gate_that_the_device_does_not_have_is_named(good: Calibration, make_circuit: Make) -> None:
    """A circuit that was not compiled for the device has a prediction, but not a full one."""
    circuit = make_circuit(("h", (0,)), ("cx", (0, 1)), ("ccx", (0, 1, 2)), ("reset", (0,)), physical=(7, 3, 3))
    model = noise_model(good, circuit, idle=False)
    assert model.degraded == (
        Degraded(Flaw.GATE_UNKNOWN, (7,), "h"),
        Degraded(Flaw.GATE_UNKNOWN, (7, 3), "cx"),
        Degraded(Flaw.GATE_UNKNOWN, (7, 3, 3), "ccx"),
        Degraded(Flaw.RESET_UNKNOWN, (7,), "reset"),
    )


def test_symmetric_gate_is_found_in_either_order_and_a_directed_one_is_not(
    good: Calibration, make_calibration: Make, make_gate: Make, make_circuit: Make
) -> None:
    """cz(a, b) is cz(b, a), but an echoed cross-resonance gate backwards is another gate."""
    calibration = make_calibration(good.qubits, (make_gate("cz", 7, 3), make_gate("ecr", 7, 3)))
    model = noise_model(calibration, make_circuit(("cz", (1, 0)), ("ecr", (1, 0)), physical=(7, 3)), idle=False)
    assert model.gates[0] is not None
    assert model.gates[1] is None
    assert model.degraded == (Degraded(Flaw.GATE_UNKNOWN, (3, 7), "ecr"),)


@pytest.mark.parametrize(
    ("name", "params", "calibrated"),
    [
        ("r", (0.1, 0.2), "PRX"),
        ("u", (0.1, 0.2, 0.3), "u3"),
        ("rzz", (0.1,), "zz"),
        ("cx", (), "CNOT"),
        ("cp", (0.1,), "cphaseshift"),
    ],
)
def test_providers_own_names_are_understood(
    name: str,
    params: tuple[float, ...],
    calibrated: str,
    good: Calibration,
    make_calibration: Make,
    make_gate: Make,
    make_circuit: Make,
) -> None:
    """IQM's prx and IBM's old u3 have figures: calling them unknown would degrade every such device."""
    operands = (0,) if name in {"r", "u"} else (0, 1)
    physical = tuple((7, 3)[operand] for operand in operands)
    calibration = make_calibration(good.qubits, (make_gate(calibrated, *physical, error=0.04),))
    model = noise_model(calibration, make_circuit((name, operands, params), width=2, physical=(7, 3)), idle=False)
    assert model.degraded == ()
    assert model.gates[0] is not None
    assert model.gates[0].error == 0.04


def test_rotations_about_z_are_free(good: Calibration, make_circuit: Make) -> None:
    """They are done in software; noise on them would double a circuit's error."""
    circuit = make_circuit(("rz", (0,), (0.3,)), ("p", (0,), (0.3,)), ("s", (0,)), ("barrier", (0,)), physical=(7,))
    model = noise_model(good, circuit)
    assert model.gates == (None, None, None, None)
    assert model.degraded == ()


def test_t2_above_its_limit_is_clipped(good: Calibration, bell: Circuit, make_calibration: Make, make_qubit: Make) -> None:
    """Providers publish T2 above 2 T1; as published it would not be a channel."""
    model = noise_model(make_calibration((make_qubit(3), make_qubit(7, t2_seconds=900e-6)), good.gates), bell, idle=False)
    assert model.degraded == ()
    assert model.gates[0] is not None
    assert model.gates[0].relaxation == (Relaxation(100e-6, 200e-6, 50e-9),)


def test_error_below_relaxation_is_recorded_as_inconsistent(
    good: Calibration, bell: Circuit, make_calibration: Make, make_gate: Make
) -> None:
    """Real snapshots hold such gates: the prediction stands on relaxation alone, and says so."""
    model = noise_model(make_calibration(good.qubits, (make_gate("sx", 7, error=1e-6), good.gates[1])), bell, idle=False)
    assert model.gates[0] is not None
    assert model.gates[0].depolarizing == 0
    (found,) = model.inconsistent
    assert found[:3] == ("sx", (7,), 1e-6)
    assert found.least > 1e-6


def test_qubits_that_wait_relax_by_default(
    good: Calibration, make_circuit: Make, make_calibration: Make, make_gate: Make
) -> None:
    """Idle time often dominates a deep circuit; Aer leaves it out unless delays are written."""
    calibration = make_calibration(good.qubits, (make_gate("sx", 7, seconds=3e-8), make_gate("cz", 7, 3, seconds=2e-7)))
    rows = (("cz", (0, 1)), ("sx", (0,)), ("sx", (0,)), ("cz", (0, 1)))
    circuit = make_circuit(*rows, physical=(7, 3))
    model = noise_model(calibration, circuit)
    assert model.idle[:3] == ((None, None), (None,), (None,))
    assert model.idle[3][0] is None
    waited = model.idle[3][1]
    assert waited is not None
    assert waited.seconds == pytest.approx(6e-8)
    assert noise_model(calibration, circuit, idle=False).idle[3] == (None, None)


def test_barrier_makes_qubits_wait_for_each_other(good: Calibration, make_circuit: Make) -> None:
    """Compilers align with barriers; what they separate does not overlap."""
    rows = (("cz", (0, 1)), ("sx", (0,)), ("barrier", (0, 1)), ("measure", (1,), 1), ("measure", (0,), 0))
    model = noise_model(good, make_circuit(*rows, physical=(7, 3)))
    waited = model.idle[3][0]
    assert waited is not None
    assert waited.seconds == pytest.approx(50e-9)


def test_written_delay_relaxes_with_or_without_idle(good: Calibration, make_circuit: Make) -> None:
    """A delay is an instruction of the user's: dynamical-decoupling experiments are made of them."""
    circuit = make_circuit(("delay", (0,), (1e-6,)), ("measure", (0,), 0), physical=(7,))
    for idle in (True, False):
        noise = noise_model(good, circuit, idle=idle).gates[0]
        assert noise is not None
        assert noise.relaxation == (Relaxation(100e-6, 80e-6, 1e-6),)


def test_device_medians_stand_for_all_qubits_and_are_marked(make_calibration: Make, make_circuit: Make) -> None:
    """IonQ publishes no table of its qubits: its medians are the best prediction, and not one by qubit."""
    published = DeviceCalibration(
        t1_seconds=100.0,
        t2_seconds=1.0,
        readout_error=0.004,
        gate_error_1q=2e-4,
        gate_error_2q=5e-3,
        gate_1q_seconds=130e-6,
        gate_2q_seconds=970e-6,
        readout_seconds=150e-6,
    )
    circuit = make_circuit(("rx", (0,), (0.2,)), ("ms", (0, 1), (0.0, 0.0, 0.5)), ("measure", (0,), 0), physical=(11, 4))
    model = noise_model(make_calibration(published=published), circuit)
    assert model.device_level
    assert model.degraded == ()
    assert [noise.error if noise else None for noise in model.gates] == [2e-4, 5e-3, None]
    assert model.readout == {0: ReadoutError(0.004, 0.004, symmetric=True)}


def test_ionqs_own_characterizations_make_models(make_circuit: Make) -> None:
    """A full one leaves nothing out, and one that tells readout alone says what it lacks."""
    rows = json.loads((FIXTURES / "ionq" / "v04-characterizations" / "payload.json").read_bytes())["characterizations"]
    told = [read_characterization(row, source="lab", account="a", backend="qpu.forte-1")[0] for row in rows[:2]]
    circuit = make_circuit(("rx", (0,), (0.2,)), ("rzz", (0, 1), (0.5,)), ("measure", (1,), 0), physical=(30, 2))
    whole, part = (noise_model(calibration, circuit) for calibration in told)
    assert whole.degraded == ()
    assert [noise.error if noise else None for noise in whole.gates] == [0.0002, 0.0054, None]
    assert part.gates == (None, None, None)
    assert part.readout[1].error == pytest.approx(0.01)
    assert {entry.flaw for entry in part.degraded} == {Flaw.T1_MISSING, Flaw.GATE_ERROR_MISSING}


def test_half_told_device_medians_are_named(make_calibration: Make, make_circuit: Make) -> None:
    """IonQ's older characterizations hold a few figures only."""
    circuit = make_circuit(("rx", (0,), (0.2,)), ("measure", (0,), 0))
    model = noise_model(make_calibration(published=DeviceCalibration(readout_error=0.01)), circuit)
    assert {entry.flaw for entry in model.degraded} == {
        Flaw.T1_MISSING,
        Flaw.GATE_ERROR_MISSING,
    }


def test_age_of_the_snapshot_is_carried(good: Calibration, bell: Circuit) -> None:
    """Trust in a prediction falls with the age of its calibration, and one from the future is no prediction."""
    later = good.calibrated_at + timedelta(hours=3)
    assert noise_model(good, bell, executed_at=later).age_seconds == 10_800
    assert noise_model(good, bell).age_seconds is None
    early = noise_model(good, bell, executed_at=good.calibrated_at - timedelta(seconds=1))
    assert early.age_seconds == -1
    assert Degraded(Flaw.SNAPSHOT_LATER, ()) in early.degraded


def test_success_is_the_product_of_gates_and_of_readout(good: Calibration, bell: Circuit) -> None:
    """The one figure that is always there, however wide the circuit."""
    model = noise_model(good, bell)
    parts = success(bell, model)
    assert parts.gates == pytest.approx(0.99 * 0.98)
    assert parts.readout == pytest.approx(0.96 * 0.96)
    assert esp(bell, model) == pytest.approx(0.99 * 0.98 * 0.96 * 0.96)
