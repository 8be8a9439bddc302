"""Leaving out what cannot matter, and moving measurements to the end, change no probability."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import CircuitError
from qobs.reference.circuit import Operation
from qobs.reference.cone import deferred, reaching, reduced
from qobs.reference.exact import noisy_probabilities
from qobs.reference.noise import noise_model

QUICK = settings(max_examples=20, deadline=None, derandomize=True)


@QUICK
@given(seed=st.integers(0, 10_000), width=st.integers(1, 4), gates=st.integers(1, 12))
def test_the_cone_and_deferral_keep_every_probability(circuits, seed, width, gates):
    """A gate dropped wrongly makes good results look wrong; here against the density matrix of the whole circuit."""
    circuit = circuits.random(seed, width=width, gates=gates, clbits=4)
    found = reduced(circuit)
    want = noisy_probabilities(circuit, None, precision="complex128")
    got = noisy_probabilities(found.circuit, None, precision="complex128")
    assert circuits.everywhere(got, found.clbits, 4) == pytest.approx(want, abs=1e-9)
    late = circuits.recycled(deferred(found).circuit)
    assert circuits.everywhere(late, found.clbits, 4) == pytest.approx(want, abs=1e-9)


@QUICK
@given(seed=st.integers(0, 10_000), width=st.integers(2, 4))
def test_noise_follows_its_operations(circuits, device, seed, width):
    """Noise on the wrong gate after renumbering would be believed, because the ideal distribution is still right."""
    circuit = circuits.random(seed, width=width, gates=8, clbits=3, names=("sx", "rz", "x", "cz", "ry", "id"), middle=0.1)
    model = noise_model(device, circuit)
    found = reduced(circuit, model)
    want = noisy_probabilities(circuit, model, precision="complex128")
    for variant in (found, deferred(found)):
        got = noisy_probabilities(variant.circuit, variant.model, precision="complex128")
        assert circuits.everywhere(got, found.clbits, 3) == pytest.approx(want, abs=1e-9)


def test_only_what_reaches_a_measured_bit_is_kept(circuits):
    """A device-wide circuit would otherwise be too wide for every engine."""
    operations = [
        Operation("h", (0,)),
        Operation("cx", (0, 1)),  # reaches bit 0 through qubit 1
        Operation("cx", (2, 3)),  # does not
        Operation("reset", (4,)),
        Operation("barrier", (0, 1, 2, 3, 4)),
        Operation("measure", (1,), (), (5,)),
        Operation("x", (1,)),  # too late
    ]
    circuit = circuits.of(operations, 5, 6)
    assert reaching(circuit) == (0, 1, 5)
    found = reduced(circuit)
    assert (found.circuit.width, found.circuit.clbits, found.clbits, found.circuit.physical) == (2, 1, (5,), (0, 1))


def test_what_came_before_a_reset_is_dropped(circuits):
    """A long preparation that a reset throws away must not make a circuit too wide."""
    operations = [
        Operation("cx", (1, 0)),
        Operation("reset", (0,)),
        Operation("x", (0,)),
        Operation("measure", (0,), (), (0,)),
    ]
    assert reaching(circuits.of(operations, 2, 1)) == (1, 2, 3)


def test_a_result_that_is_written_over_still_dephases(circuits):
    """H, measure, H gives an even coin, not zero: the measurement must stay although its bit is lost."""
    operations = [
        Operation("h", (0,)),
        Operation("measure", (0,), (), (0,)),
        Operation("h", (0,)),
        Operation("measure", (0,), (), (0,)),
    ]
    found = deferred(reduced(circuits.of(operations, 1, 1)))
    assert found.circuit.width == 2
    assert circuits.recycled(found.circuit) == pytest.approx([0.5, 0.5])


def test_a_circuit_that_measures_nothing_is_refused(circuits):
    """There is nothing that counts could be compared with."""
    with pytest.raises(CircuitError, match="measures nothing"):
        reduced(circuits.of([Operation("h", (0,))], 1, 1))


def test_a_model_of_another_circuit_is_refused(circuits, device):
    """Noise of one circuit on another would be wrong without a sign of it."""
    model = noise_model(device, circuits.ghz(2))
    with pytest.raises(CircuitError, match="noise model"):
        reduced(circuits.ghz(3), model)
