"""The circuits of the emulated clouds: right without noise, noisy by known formulas, drawn again the same."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Statevector

from qobs.lab import azure, ibm, ionq
from qobs.lab.circuit_texts import ionq_native, ionq_qis, openqasm2, openqasm3
from qobs.lab.circuits import (
    MOST_QUBITS,
    Gate,
    LabCircuit,
    Noise,
    by_register,
    circuit_of,
    everywhere,
    outcomes,
    probabilities,
    uniform,
)
from qobs.lab.ibm_devices import DEVICES, Device, devices
from qobs.lab.world import Cloud, LabBackend, LabJob, Trouble
from qobs.model import JobState
from qobs.reference.circuit import Circuit
from qobs.reference.parse import parse

AT = datetime(2026, 9, 14, 12, tzinfo=UTC)
FAMILIES = ("bell", "vqe-h2", "qaoa-maxcut", "kernel-svm")


def job_of(family: str, width: int, job_id: str = "d1") -> LabJob:
    """A planned job of an experiment."""
    return LabJob(
        id=job_id,
        backend="ibm_fez",
        submitted_at=AT,
        started_at=AT,
        ended_at=AT,
        outcome=JobState.COMPLETED,
        qubits=width,
        experiment=family,
    )


def ideal(circuit: LabCircuit) -> list[float]:
    """Probabilities by outcome, worked out by qiskit from the gates as submitted."""
    run = QuantumCircuit(circuit.qubits)
    for name, qubits, angle in circuit.gates:
        getattr(run, name)(*((angle,) if name in ("rx", "ry", "rz") else ()), *qubits)
    return _read(Statevector(run), dict(enumerate(circuit.measured)))


def parsed(circuit: Circuit) -> list[float]:
    """The same of a circuit that the reference has read."""
    run, held = QuantumCircuit(circuit.width), {}
    for operation in circuit.operations:
        if operation.name == "measure":
            held[operation.clbits[0]] = operation.qubits[0]
        else:
            getattr(run, operation.name)(*operation.params, *operation.qubits)
    return _read(Statevector(run), held)


def _read(state: Statevector, held: dict[int, int]) -> list[float]:
    found = [0.0] * (1 << len(held))
    for basis, weight in enumerate(state.probabilities()):
        found[sum((basis >> qubit & 1) << bit for bit, qubit in held.items())] += weight
    return found


@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_noise_every_circuit_is_what_qiskit_makes_of_it(family: str, width: int) -> None:
    """If the emulated processor computed something else, a good verifier would call it broken."""
    circuit = circuit_of(job_of(family, width))
    assert probabilities(circuit, Noise()) == pytest.approx(ideal(circuit), abs=1e-12)


@pytest.mark.parametrize("width", [2, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_language_says_the_same_circuit(family: str, width: int) -> None:
    """What a source hands on must be what ran: on physical qubits, as submitted, and compiled to native gates."""
    circuit = circuit_of(job_of(family, width))
    physical = (70, 3, 41, 9, 11)[:width]
    onto = parse(openqasm3(circuit, physical), kind="openqasm3")
    assert set(onto.physical) == set(physical)
    assert parsed(onto) == pytest.approx(ideal(circuit), abs=1e-9)
    assert parsed(parse(openqasm2(circuit), kind="openqasm2")) == pytest.approx(ideal(circuit), abs=1e-9)
    assert qasm2.loads(openqasm2(circuit)).num_clbits == width
    plain = ideal(everywhere(circuit))
    for body in (ionq_qis(circuit), ionq_native(circuit)):
        assert parsed(parse(json.dumps(body), kind="ionq")) == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("family", ["vqe-h2", "qaoa-maxcut", "kernel-svm"])
def test_the_outcomes_tell_one_order_of_bits_from_the_other(family: str) -> None:
    """A circuit that looks the same from both ends hides every mistake about the order of bits."""
    chances = probabilities(circuit_of(job_of(family, 3)), Noise())
    turned = [chances[int(f"{outcome:03b}"[::-1], 2)] for outcome in range(8)]
    assert sum(abs(one - other) for one, other in zip(chances, turned, strict=True)) / 2 > 0.1


def test_one_experiment_has_one_shape_whose_angles_are_the_jobs() -> None:
    """Margins are learnt by the shape of circuits: without repeated shapes there is nothing to learn from."""
    first, second = circuit_of(job_of("kernel-svm", 4)), circuit_of(job_of("kernel-svm", 4, "d2"))
    assert [gate[:2] for gate in first.gates] == [gate[:2] for gate in second.gates]
    assert first != second
    assert first == circuit_of(job_of("kernel-svm", 4))


def test_a_wide_plan_runs_a_circuit_that_can_be_simulated() -> None:
    """A planned job of 12 qubits would take a density matrix of 16 million numbers."""
    assert circuit_of(job_of("vqe-h2", 12)).qubits == MOST_QUBITS
    assert circuit_of(job_of("vqe-h2", 1)).qubits == 2


# ------------------------------------------------------------------------------------------------------------ noise

X = LabCircuit(1, (Gate("x", (0,)),), (0,), (("c", 1),))
BELL = LabCircuit(2, (Gate("h", (0,)), Gate("cx", (0, 1))), (0, 1), (("c", 2),))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(error=st.floats(0, 0.4), up=st.floats(0, 0.4), down=st.floats(0, 0.4))
def test_one_gate_and_one_reading_are_as_wrong_as_their_figures(error: float, up: float, down: float) -> None:
    """Closed form: x leaves the ground state with the average error, and each state is misread by its own figure."""
    ones = (1 - error) * (1 - down) + error * up
    assert probabilities(X, Noise({0: error}, {}, {0: (up, down)})) == pytest.approx([1 - ones, ones], abs=1e-12)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(error=st.floats(0, 0.4))
def test_a_gate_of_two_mixes_the_pair_by_its_error(error: float) -> None:
    """Closed form: of weight 4/3 of the error, the pair is forgotten and each outcome is as likely as any."""
    chances = probabilities(BELL, Noise({}, {(0, 1): error}))
    weight = min(error * 4 / 3, 1.0)
    expected = [(1 - weight) / 2 + weight / 4, weight / 4, weight / 4, (1 - weight) / 2 + weight / 4]
    assert chances == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_leaves_a_distribution_and_more_noise_leads_farther_away(family: str) -> None:
    """A game day turns the noise up: the verdict can see it only if the results really get worse."""
    circuit, noise = circuit_of(job_of(family, 4)), uniform(4, one=1e-3, two=1e-2, misread=(0.01, 0.02))
    clean = ideal(circuit)
    far = []
    for factor in (0.0, 1.0, 4.0, 16.0):
        chances = probabilities(circuit, noise.times(factor))
        assert sum(chances) == pytest.approx(1.0, abs=1e-12)
        assert min(chances) >= 0
        far.append(sum(abs(one - other) for one, other in zip(chances, clean, strict=True)) / 2)
    assert far == sorted(far)
    assert far[0] == pytest.approx(0.0, abs=1e-12)
    assert far[3] > 4 * far[1]


def test_shots_follow_the_probabilities_and_the_seed() -> None:
    """A demo that changes from run to run cannot be tested, and one that does not follow its noise shows nothing."""
    circuit, noise = circuit_of(job_of("vqe-h2", 3)), uniform(3, one=1e-3, two=1e-2, misread=(0.01, 0.03))
    drawn = outcomes(circuit, noise, shots=20_000, seed="s")
    assert drawn == outcomes(circuit, noise, shots=20_000, seed="s")
    assert drawn != outcomes(circuit, noise, shots=20_000, seed="t")
    counts = Counter(drawn)
    for outcome, chance in enumerate(probabilities(circuit, noise)):
        assert counts[outcome] / 20_000 == pytest.approx(chance, abs=5 * (chance * (1 - chance) / 20_000) ** 0.5)


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [({}, 0b001), ({"flipped_bit": 1}, 0b011), ({"reversed_bits": True}, 0b100), ({"flipped_bit": 7}, 0b001)],
)
def test_bits_go_wrong_as_asked(trouble: dict[str, Any], expected: int) -> None:
    """F-scenarios about flipped and turned bits need exactly that, and nothing else."""
    circuit = LabCircuit(3, (Gate("x", (0,)),), (0, 1, 2), (("c", 3),))
    wrong = Trouble(backend="b", since=AT, **trouble)
    assert set(outcomes(circuit, Noise(), shots=10, seed="s", trouble=wrong)) == {expected}


def test_registers_are_cut_out_of_an_outcome_from_its_low_end() -> None:
    """The first declared register holds the lowest bits."""
    circuit = LabCircuit(4, (), (0, 1, 2, 3), (("first", 1), ("rest", 3)))
    assert by_register(circuit, 0b1101) == (1, 0b110)


# --------------------------------------------------------------------------------------- calibrations and troubles


@pytest.mark.parametrize("name", DEVICES)
def test_jobs_run_on_chains_of_coupled_good_qubits(name: str) -> None:
    """A circuit on qubits that are not coupled, or on broken ones, could not have run."""
    device = Device(LabBackend(name, 156), 3)
    couplings = {tuple(pair) for pair in device.configuration["coupling_map"]}
    assert len(device.chains) == 6
    assert len({qubit for chain in device.chains for qubit in chain}) == 6 * MOST_QUBITS
    for chain in device.chains:
        assert all(pair in couplings or pair[::-1] in couplings for pair in pairwise(chain))
        noise = device.noise(chain, AT)
        assert all(0 < error < 0.1 for error in (*noise.one.values(), *noise.two.values()))
        assert set(noise.two) == {(place, place + 1) for place in range(4)}


def test_noise_is_that_of_the_published_calibration() -> None:
    """The verdict compares with the calibration: noise from anywhere else would always be found worse."""
    device = devices(ibm.default_cloud(3, AT))["ibm_kingston"]
    chain = device.chains[0]
    body, noise = json.loads(device.properties(AT)), device.noise(chain, AT)
    gates = {(gate["gate"], *sorted(gate["qubits"])): gate["parameters"][0]["value"] for gate in body["gates"]}
    for place, qubit in enumerate(chain):
        figures = {figure["name"]: figure["value"] for figure in body["qubits"][qubit]}
        assert noise.one[place] == gates["sx", qubit]
        assert noise.misread[place] == (figures["prob_meas1_prep0"], figures["prob_meas0_prep1"])
    assert noise.two[0, 1] == gates["cz", *sorted(chain[:2])]


def test_trouble_covers_its_backend_and_its_time() -> None:
    """Troubles that leak into other backends or times would spoil the comparison that a game day makes."""
    cloud = Cloud("x", (), 1, AT)
    hour = timedelta(hours=1)
    first = Trouble(backend="a", since=AT, until=AT + hour, noise_factor=2.0)
    second = Trouble(backend="a", since=AT + hour / 2, noise_factor=3.0)
    cloud.troubles += [first, second]
    found = [cloud.trouble("a", AT + part * hour / 4) for part in (-1, 0, 1, 2, 4)]
    assert found == [None, first, first, second, second]
    assert cloud.trouble("b", AT) is None


@pytest.mark.parametrize("module", [ibm, ionq, azure])
def test_a_stale_calibration_stops_at_its_time(module: Any) -> None:
    """F-scenario: nothing new is published, while the processor drifts on."""
    cloud = module.default_cloud(3, AT)
    backend = cloud.backends[0]
    later = AT + timedelta(days=3)
    assert cloud.calibrated_at(backend, later) > AT
    cloud.troubles.append(Trouble(backend=backend.name, since=AT, stale=True))
    assert cloud.calibrated_at(backend, later) == backend.calibrated_at(AT) <= AT
