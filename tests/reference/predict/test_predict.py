"""One prediction for any circuit: which method is taken, that all of them agree, and that nothing is refused in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qobs.errors import CircuitError
from qobs.reference import wide_mps
from qobs.reference.circuit import Operation
from qobs.reference.exact import noisy_probabilities
from qobs.reference.noise import noise_model
from qobs.reference.predict import Effort, drawn, predict
from qobs.reference.predict_verify import judge_prediction, verify
from qobs.reference.verdict import Verdict

SMALL = Effort(trajectories=256)


def tvd(one, other):
    """Total variation distance."""
    return float(np.abs(one - other).sum() / 2)


@pytest.mark.parametrize(
    ("width", "noisy", "method"),
    [
        (3, False, "state vector"),
        (3, True, "density matrix, exact"),
        (9, True, "Pauli trajectories (256)"),
    ],
)
def test_width_decides_the_method(circuits, device, width, noisy, method):
    """The method is part of the verdict: a reader must know how far to trust it."""
    found = predict(circuits.layers(width, 2), device if noisy else None, effort=SMALL)
    assert found.method.startswith(method)
    assert (found.qubits, found.unverified) == (width, None)
    assert (found.noisy is not None, found.esp is not None) == (noisy, noisy)


def test_trajectories_agree_with_the_density_matrix(circuits, device):
    """At the border between two methods the prediction must not jump."""
    circuit = circuits.layers(9, 2)
    found = predict(circuit, device, effort=Effort(trajectories=512))
    exact = noisy_probabilities(circuit, noise_model(device, circuit))
    assert found.noisy is not None
    assert found.ideal is not None
    assert tvd(found.noisy.probabilities, exact) < 0.02 < tvd(found.ideal.probabilities, exact)


def test_stabilisers_agree_with_the_state_vector_under_noise(circuits, device):
    """A Clifford circuit beyond trajectories is sampled with the same noise, to within the twirl."""
    circuit = circuits.ghz(9)
    exact = noisy_probabilities(circuit, noise_model(device, circuit))
    # Four qubits at once rule out every other noisy method.
    found = predict(circuit, device, effort=Effort(max_qubits=4, samples=100_000))
    assert found.method == "stabilisers (stim) with Pauli errors, 100000 samples"
    assert found.noisy is not None
    assert tvd(found.noisy.probabilities, exact) < 0.02


def test_bits_come_out_where_they_were_measured(circuits):
    """Crossed measurements into the middle of a wide register: symmetric states hide every mistake of order."""
    operations = [
        Operation("x", (7,)),
        Operation("ry", (2,), (0.3,)),
        Operation("ry", (5,), (1.1,)),
        Operation("measure", (7,), (), (3,)),
        Operation("measure", (2,), (), (6,)),
        Operation("measure", (5,), (), (1,)),
    ]
    found = predict(circuits.of(operations, 9, 8))
    assert found.clbits == (1, 3, 6)
    assert found.ideal is not None
    likely = found.outcomes(found.ideal, [int(found.ideal.probabilities.argmax())])
    assert likely == [0b00001000]
    one, six = np.sin(0.55) ** 2, np.sin(0.15) ** 2
    want = np.zeros(8)
    for index in range(8):
        want[index] = (index >> 1 & 1) * (one if index & 1 else 1 - one) * (six if index >> 2 else 1 - six)
    assert found.ideal.probabilities == pytest.approx(want, abs=1e-6)


def test_a_wide_circuit_is_judged_by_its_fidelity(circuits, device):
    """More qubits than any noisy method takes: ideal by recycling, noise as one number, and the method says so."""
    wide = circuits.layers(25, 3)
    few = circuits.of([each for each in wide.operations if each.name != "measure" or each.clbits[0] < 4], 25, 4)
    # Chains of one-qubit couplings around the measured bits: the cone is narrow.
    effort = Effort(max_qubits=6, trajectories=64)
    found = predict(replace(few, operations=_spread(few)), device, effort=effort)
    assert found.ideal is not None
    assert found.noisy is None
    assert "qubits at once" in found.method
    counts = drawn(found, 5_000, seed=1)
    judged = judge_prediction(found, counts)
    assert judged.verdict is Verdict.CONSISTENT
    assert "linear cross-entropy" in judged.method
    assert any("noisy distribution was not computed" in flaw for flaw in judged.degraded)


def _spread(circuit):
    """The same, with measured qubits routed far away and back: the cone takes ten qubits more, four at once."""
    route = []
    for place in (*range(4, 14), *range(13, 3, -1)):
        for control, target in ((place, place - 1), (place - 1, place), (place, place - 1)):
            route += [Operation("h", (target,)), Operation("cz", (control, target)), Operation("h", (target,))]
    gates = [each for each in circuit.operations if each.name != "measure" and max(each.qubits) < 4]
    return tuple(gates + route + [each for each in circuit.operations if each.name == "measure"])


@pytest.mark.parametrize("width", [30, 156])
def test_wide_clifford_circuits_have_exact_outcomes_and_tested_parities(circuits, device, width):
    """GHZ on a whole device: two outcomes without noise; with noise, parities tell a good result from a bad one."""
    circuit = circuits.ghz(width)
    ideal = predict(circuit)
    assert ideal.ideal is not None
    assert ideal.ideal.outcomes is not None
    assert set(ideal.ideal.outcomes) == {0, 2**width - 1}
    counts = drawn(ideal, 2_000, seed=1)
    assert judge_prediction(ideal, counts).verdict is Verdict.CONSISTENT
    broken = {outcome ^ 1: count for outcome, count in counts.items()}
    judged = judge_prediction(ideal, broken)
    assert (judged.verdict, "2000 of 2000 shots" in judged.reason) == (Verdict.WORSE, True)


def test_noise_of_a_wide_clifford_circuit_is_tested(circuits, device):
    """Samples of the same noise are consistent, samples of twice the errors are not."""
    circuit = circuits.ghz(30)
    found = predict(circuit, device, effort=Effort(samples=40_000))
    assert (found.noisy, found.marks is not None) == (None, True)
    doubled = _worse(device)
    good, bad = (_shots(circuit, calibration) for calibration in (device, doubled))
    assert judge_prediction(found, good).verdict is Verdict.CONSISTENT
    assert judge_prediction(found, bad).verdict is Verdict.WORSE


def _worse(calibration):
    from msgspec.structs import replace as changed

    gates = tuple(
        changed(gate, error=changed(gate.error, value=2 * gate.error.value)) if len(gate.qubits) == 2 else gate
        for gate in calibration.gates
    )
    return changed(calibration, gates=gates)


def _shots(circuit, calibration):
    from qobs.reference.clifford import CliffordCircuit
    from qobs.reference.predict_twirl import twirled

    rows = CliffordCircuit(circuit, twirled(circuit, noise_model(calibration, circuit))).samples(4_000, seed=17)
    counts = {}
    for row in rows:
        outcome = sum(1 << bit for bit in np.flatnonzero(row).tolist())
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def test_a_matrix_product_state_stands_in(circuits):
    """A circuit that is too entangled for the limit is still sampled, where qiskit-aer is installed."""
    circuit = circuits.layers(7, 4)
    exact = predict(circuit).ideal
    found = predict(circuit, effort=Effort(max_qubits=3, samples=20_000))
    assert "matrix product state (qiskit-aer, bonds to 128, weight 0 dropped)" in found.method
    assert found.ideal is not None
    assert exact is not None
    assert found.ideal.worth_shots == 20_000
    assert tvd(found.ideal.probabilities, exact.probabilities) < 0.05
    assert judge_prediction(found, drawn(predict(circuit), 1_000, seed=3)).verdict is Verdict.CONSISTENT


def test_a_matrix_product_state_that_loses_too_much_is_refused(circuits):
    """Truncation makes a plausible distribution of something else, and good results worse than it."""
    with pytest.raises(CircuitError, match="loses a weight of"):
        wide_mps.sampled(circuits.layers(7, 6), shots=100, seed=0, bond=2)


def test_without_any_method_the_reason_says_what_would_help(circuits, device, monkeypatch):
    """A silent refusal looks like a passed check."""
    monkeypatch.setattr(wide_mps, "find_spec", lambda name: None)
    circuit = circuits.layers(7, 4)
    judged = verify(circuit, {0: 100}, device, effort=Effort(max_qubits=3))
    assert judged.verdict is Verdict.UNVERIFIED
    assert "at most 3 are simulated together" in judged.reason
    assert "install qiskit-aer" in judged.reason
    assert "estimated success probability" in judged.reason


def test_many_bits_of_a_shallow_circuit_are_judged_in_groups(circuits, device):
    """2^28 probabilities are not written out, but each neighbourhood is small: good counts pass, and one bad qubit is found."""
    circuit = circuits.layers(28, 2)
    effort = Effort(trajectories=64)
    found = predict(circuit, device, effort=effort)
    assert (found.ideal, found.noisy, found.unverified) == (None, None, None)
    assert [len(part.clbits) for part in found.parts] == [6, 6, 6, 6, 4]
    assert found.method.startswith("5 groups of at most 6 bits, the first by: ")
    good = _joint(found, 4_000)
    judged = judge_prediction(found, good)
    assert (judged.verdict, judged.shots) == (Verdict.CONSISTENT, 4_000)
    assert "between groups are not tested" in judged.reason
    flipped = judge_prediction(found, {outcome ^ (1 << 20): count for outcome, count in good.items()})
    assert flipped.verdict is Verdict.WORSE
    assert flipped.reason.startswith("bits 18, 19, 20, 21, 22, 23 of 5 groups: ")


def _joint(prediction, shots):
    """Shots whose groups are independent of each other."""
    rng = np.random.default_rng(6)
    total = np.zeros(shots, dtype=np.int64)
    for part in prediction.parts:
        reference = part.noisy or part.ideal
        drawn_cells = rng.choice(len(reference.probabilities), shots, p=reference.probabilities / reference.probabilities.sum())
        outcomes = np.array(part.outcomes(reference, range(len(reference.probabilities))))
        total += outcomes[drawn_cells]
    values, counts = np.unique(total, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_groups_have_the_marginals_of_the_whole(circuits):
    """A cone that is cut too narrow would give each group a plausible, wrong distribution."""
    from qobs.reference.cone import deferred, reduced

    circuit = circuits.layers(7, 3)
    whole = circuits.recycled(circuit).reshape((2,) * 7)
    part = reduced(circuit, clbits=frozenset({1, 5}))
    assert part.clbits == (1, 5)
    assert part.circuit.width < 7 or len(part.circuit.operations) < len(circuit.operations)
    # Axes count from the highest bit: bit 5 is axis 1, bit 1 is axis 5.
    wanted = whole.transpose(1, 5, 0, 2, 3, 4, 6).reshape(4, -1).sum(axis=1)
    assert circuits.recycled(deferred(part).circuit) == pytest.approx(wanted, abs=1e-9)


def test_too_many_measured_bits_of_a_deep_circuit_are_told(circuits):
    """Neither the whole nor a neighbourhood of it can be computed: the reason, and no allocation."""
    judged = verify(circuits.layers(40, 30), {0: 100})
    assert judged.verdict is Verdict.UNVERIFIED
    assert "40 measured bits" in judged.reason
    assert "at most 16 are simulated together" in judged.reason


def test_counts_of_the_circuit_itself_are_consistent(circuits, device):
    """The whole path from circuit to verdict, on counts of the prediction and on counts of another circuit."""
    circuit, other = circuits.layers(4, 3), circuits.layers(4, 3, seed=1)
    found = predict(circuit, device)
    good = verify(circuit, drawn(found, 4_000, seed=2), device)
    bad = verify(other, drawn(found, 4_000, seed=2), device)
    assert (good.verdict, bad.verdict) == (Verdict.CONSISTENT, Verdict.WORSE)
    assert (good.method, good.shots) == ("density matrix, exact", 4_000)


def test_counts_on_unmeasured_bits_do_not_fit(circuits):
    """They are of another circuit, or in another bit order: a verdict on them would be about something else."""
    circuit = circuits.of([Operation("measure", (0,), (), (0,))], 2, 2)
    with pytest.raises(CircuitError, match="bit 1 is 1"):
        verify(circuit, {0b10: 5})


def test_no_shots_are_unverified(circuits):
    """An empty result must not count as a good one."""
    assert verify(circuits.ghz(2), {}).verdict is Verdict.UNVERIFIED
    assert verify(circuits.ghz(2), {0: 0}).verdict is Verdict.UNVERIFIED


def test_what_a_calibration_lacks_is_told(circuits, device):
    """A prediction with holes is believed less, if one knows of them."""
    beyond = circuits.of([Operation("sx", (29,)), Operation("sx", (31,)), Operation("measure", (31,), (), (0,))], 32, 1)
    found = predict(beyond, device)
    assert any("qubit_absent on 31" in flaw for flaw in found.degraded)


@pytest.mark.parametrize(("margin", "alpha"), [(-1.0, 0.01), (float("nan"), 0.01), (0.0, 0.0), (0.0, 1.0)])
def test_impossible_settings_are_refused(circuits, margin, alpha):
    """A negative margin would call every result worse."""
    with pytest.raises(ValueError, match="margin"):
        verify(circuits.ghz(2), {0: 10}, margin=margin, alpha=alpha)


def test_the_same_seed_gives_the_same_prediction(circuits, device):
    """A verdict that changes from run to run cannot be discussed."""
    one, other = (predict(circuits.layers(9, 1), device, effort=Effort(trajectories=64, seed=4)) for _ in range(2))
    assert one.noisy is not None
    assert other.noisy is not None
    assert (one.noisy.probabilities == other.noisy.probabilities).all()
