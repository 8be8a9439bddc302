"""Real results of real devices get a verdict, with the method named."""

from __future__ import annotations

import json

import pytest

from qobs.cli.calibration_files import read_calibration
from qobs.reference.counts import read_counts
from qobs.reference.parse import parse
from qobs.reference.predict import Effort, predict
from qobs.reference.predict_verify import judge_prediction
from qobs.reference.verdict import Verdict


def test_a_job_over_71_qubits_is_simulated_twelve_at_a_time(unpacked):
    """12 qubits routed over 71, 7,816 CZ: exact, and the verdict says that nothing of the signal was left to be tested."""
    job = json.loads((unpacked / "torino_12q.json").read_text())
    circuit = parse(job["circuit"]["__value__"])
    counts = read_counts(job["counts"], circuit)
    found = predict(circuit, read_calibration(next(unpacked.glob("ibm_torino*10-06*.csv"))))
    assert found.method == "state vector, 12 of 71 qubits at once"
    assert found.ideal is not None
    likely = sorted(found.ideal.probabilities)[-16:]
    assert likely == pytest.approx([1 / 16] * 16, abs=1e-9)
    assert found.esp is not None
    assert found.esp.total < 1e-12
    judged = judge_prediction(found, counts)
    assert (judged.verdict, judged.shots) == (Verdict.INCONCLUSIVE, 8192)
    assert "cannot tell so little signal" in judged.reason
    # An ideal computer would never give most of these outcomes.
    assert judge_prediction(predict(circuit), counts).verdict is Verdict.WORSE


def test_qaoa_on_a_real_device_is_judged(unpacked):
    """Ten qubits, 100 ECR and more, a snapshot of another year: worse than the model itself, and the signal is there."""
    jobs = json.loads((unpacked / "brisbane_qaoa10.json").read_text())
    assert len(jobs) == 6
    for place, job in enumerate(jobs[:3]):
        circuit = parse(job["circuit"])
        ideal = judge_prediction(predict(circuit), read_counts(job["counts"], circuit))
        assert (ideal.verdict, ideal.method, ideal.shots) == (Verdict.WORSE, "state vector", 4096)
        assert ideal.xeb is not None
        # The first result belongs to other parameters.
        assert (ideal.xeb > 0.25) == (place > 0)


def test_qaoa_under_its_noise_names_its_method(unpacked, eagle):
    """The noisy reference lies nearer to the real counts than the ideal one."""
    job = json.loads((unpacked / "brisbane_qaoa10.json").read_text())[4]
    circuit = parse(job["circuit"])
    counts = read_counts(job["counts"], circuit)
    noisy = judge_prediction(predict(circuit, eagle, effort=Effort(trajectories=128)), counts)
    ideal = judge_prediction(predict(circuit), counts)
    assert noisy.method.startswith("Pauli trajectories (128), exact no-error branch")
    assert noisy.distance is not None
    assert ideal.distance is not None
    assert noisy.distance.tvd < ideal.distance.tvd
    assert noisy.verdict is Verdict.WORSE
