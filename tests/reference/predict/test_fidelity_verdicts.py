"""Verdicts from one number: the fidelity that counts show against the one that a calibration promises."""

from __future__ import annotations

import numpy as np
import pytest

from qobs.reference.cone import reduced
from qobs.reference.esp_fidelity import expected_fidelity, judge_fidelity
from qobs.reference.noise import noise_model, success
from qobs.reference.verdict import Verdict


@pytest.fixture(scope="module")
def ideal() -> np.ndarray:
    """A distribution over 1,024 outcomes as random circuits have it."""
    weights = np.random.default_rng(11).exponential(size=1024)
    return weights / weights.sum()


def counts_of(ideal, fidelity, shots, seed=1):
    """Shots of which the share ``fidelity`` is ideal and the rest uniform."""
    return np.random.default_rng(seed).multinomial(shots, fidelity * ideal + (1 - fidelity) / ideal.size)


@pytest.mark.parametrize(
    ("fidelity", "expected", "shots", "verdict"),
    [
        (0.4, 0.4, 8_000, Verdict.CONSISTENT),
        (0.6, 0.4, 8_000, Verdict.CONSISTENT),  # errors that do not show
        (0.1, 0.4, 8_000, Verdict.WORSE),
        (0.4, 0.4, 50, Verdict.INCONCLUSIVE),
        (0.0, 1e-9, 8_000, Verdict.INCONCLUSIVE),  # a circuit too deep for its device
    ],
)
def test_the_verdict_follows_the_fidelity(ideal, fidelity, expected, shots, verdict):
    """Wide circuits have no other test; it must say worse where a third of the signal is left, and no more than it knows."""
    found = judge_fidelity(ideal, counts_of(ideal, fidelity, shots), expected, method="state vector")
    assert found.verdict is verdict
    assert found.xeb == pytest.approx(fidelity, abs=0.05 if shots > 100 else 1.0)
    assert "linear cross-entropy" in found.method


def test_false_alarms_keep_to_alpha(ideal):
    """One in a hundred good results may be called worse, not more."""
    alarms = sum(
        judge_fidelity(ideal, counts_of(ideal, 0.3, 2_000, seed), 0.3, method="").verdict is Verdict.WORSE for seed in range(400)
    )
    assert alarms <= 12


def test_a_margin_widens_what_is_tolerated(ideal):
    """A tolerance that is asked for must have an effect."""
    counts = counts_of(ideal, 0.25, 8_000)
    assert judge_fidelity(ideal, counts, 0.4, method="").verdict is Verdict.WORSE
    assert judge_fidelity(ideal, counts, 0.4, method="", margin=0.1).verdict is not Verdict.WORSE


def test_a_uniform_ideal_is_inconclusive():
    """Every result looks like a uniform one, noise most of all."""
    found = judge_fidelity(np.full(64, 1 / 64), np.full(64, 100), 0.5, method="")
    assert (found.verdict, found.p_value) == (Verdict.INCONCLUSIVE, None)


def test_waiting_lowers_the_expected_fidelity(circuits, device):
    """Success probability alone leaves out what often dominates deep circuits."""
    found = reduced(circuits.ghz(12), noise_model(device, circuits.ghz(12)))
    assert found.model is not None
    assert 0 < expected_fidelity(found.circuit, found.model) < success(found.circuit, found.model).total
