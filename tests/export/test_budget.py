"""However many series a provider invents, the scrape stays within its limits and says what is missing."""

from __future__ import annotations

import msgspec
import pytest

from qobs.export.budget import Budget, Folder, weight
from qobs.export.exposition import Exposition
from qobs.export.metrics import METRICS
from qobs.export.snapshot import Histogram, Snapshot
from qobs.export.table import Kind, Metric, Sample, Tier
from qobs.lab.clock import LabClock
from qobs.model import BackendState, BackendStatus, Calibration, Measured, QubitCalibration

WHERE = ("provider", "source", "backend")


def row(kind: Kind, name: str = "qobs_x", tier: Tier = Tier.BASIC, labels: tuple[str, ...] = WHERE) -> Metric:
    return Metric(name, "Help.", kind, labels, lambda _: (), tier=tier)


def many(count: int) -> list[Sample]:
    return [(("ibm", "lab", f"b{index:05}"), 1.0) for index in range(count)]


def test_what_fits_is_left_alone() -> None:
    """Limits must cost nothing, and change nothing, in normal life."""
    samples = many(200)
    assert Folder(Budget()).fit(row(Kind.COUNTER), samples) is samples


def test_counters_fold_into_other_and_keep_their_sum() -> None:
    """A sum over all backends must stay true when single ones no longer fit."""
    fitted = Folder(Budget(per_label=3)).fit(row(Kind.COUNTER), many(10))
    assert dict(fitted) == {
        ("ibm", "lab", "b00000"): 1.0,
        ("ibm", "lab", "b00001"): 1.0,
        ("ibm", "lab", "b00002"): 1.0,
        ("ibm", "lab", "other"): 7.0,
    }


def test_gauges_beyond_the_limit_are_left_out() -> None:
    """The sum of ten calibration times is no calibration time."""
    fitted = Folder(Budget(per_label=3)).fit(row(Kind.GAUGE), many(10))
    assert [labels[2] for labels, _ in fitted] == ["b00000", "b00001", "b00002"]


def test_a_backend_that_is_called_other_does_not_hide_the_rest() -> None:
    """A provider's own word must not break the sum."""
    samples = [*many(3), (("ibm", "lab", "other"), 5.0)]
    fitted = Folder(Budget(per_label=1)).fit(row(Kind.COUNTER), samples)
    assert sorted(fitted) == [(("ibm", "lab", "b00000"), 1.0), (("ibm", "lab", "other"), 7.0)]


def test_histograms_fold_bucket_by_bucket() -> None:
    """Quantiles over all backends must stay true."""
    samples = [(("ibm", "lab", f"b{index}"), Histogram((1.0,), (1.0, 2.0), 5.0)) for index in range(4)]
    fitted = dict(Folder(Budget(per_label=1)).fit(row(Kind.HISTOGRAM), samples))
    assert fitted[("ibm", "lab", "other")] == Histogram((1.0,), (3.0, 6.0), 15.0)
    assert weight(samples) == 16


def test_who_came_first_stays() -> None:
    """A new backend must not push an old one out of its series: its counter would end in the middle."""
    folder = Folder(Budget(per_label=3))
    metric = row(Kind.COUNTER)
    folder.fit(metric, [*many(10)[5:]])
    fitted = dict(folder.fit(metric, many(10)))
    assert {labels[2] for labels in fitted} == {"b00005", "b00006", "b00007", "other"}
    assert sum(fitted.values()) == 10


def test_a_place_is_free_again_when_its_backend_is_gone() -> None:
    """Backends come and go over years."""
    folder = Folder(Budget(per_label=2))
    metric = row(Kind.GAUGE)
    folder.fit(metric, many(3))
    fitted = folder.fit(metric, many(4)[1:])
    assert [labels[2] for labels, _ in fitted] == ["b00001", "b00002"]


def test_a_family_that_is_too_large_folds_its_most_varied_label_first() -> None:
    """Ten sources of 100 backends each: the backends give way, the sources stay."""
    samples = [(("ibm", f"s{source}", f"b{backend:03}"), 1.0) for source in range(10) for backend in range(100)]
    fitted = Folder(Budget(per_family=300)).fit(row(Kind.COUNTER), samples)
    assert len(fitted) <= 300
    assert {labels[1] for labels, _ in fitted} == {f"s{source}" for source in range(10)}
    assert sum(value for _, value in fitted) == 1000


def test_a_family_of_tier_full_goes_as_a_whole() -> None:
    """Half of a device's qubits would look like a device with half the qubits."""
    metric = row(Kind.GAUGE, tier=Tier.FULL, labels=(*WHERE, "qubit"))
    samples = [(("ibm", "lab", "fez", str(qubit)), 1.0) for qubit in range(400)]
    assert Folder(Budget(per_family=399)).fit(metric, samples) == []
    assert Folder(Budget(per_family=400)).fit(metric, samples) == samples


def test_the_operator_may_raise_the_limit_of_one_family() -> None:
    """One large site must not raise all limits for one family."""
    budget = Budget(per_label=10_000, families={"qobs_x": 3_000})
    assert len(Folder(budget).fit(row(Kind.GAUGE), many(2_500))) == 2_500


def bomb(snapshot: Snapshot, backends: int) -> Snapshot:
    statuses = tuple(
        BackendStatus(
            provider="ionq", source="trap", account="a", backend=f"bomb{index:06}", state=BackendState.ONLINE,
            observed_at=snapshot.now, qubits=1,
        )
        for index in range(backends)
    )  # fmt: skip
    counters = {"qobs_jobs_submitted_total": {("ionq", "trap", status.backend): 1.0 for status in statuses}}
    return msgspec.structs.replace(snapshot, backends=statuses, counters=counters)


def series(text: str, family: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(family + "{")]


def test_R7_a_cardinality_bomb_is_capped_and_counted(snapshot: Snapshot) -> None:  # noqa: N802
    """A provider that invents 5,000 backends must not take the user's Prometheus down."""
    exposition = Exposition(LabClock(snapshot.now), min_interval_seconds=0.0)
    exposition.refresh(bomb(snapshot, 5_000))
    rendered = exposition.rendered()
    assert rendered is not None
    text = rendered.plain.decode()
    assert rendered.series < 50_000
    for metric in METRICS:
        assert len(series(text, metric.name)) <= (metric.cap or 2_000)
    assert len(series(text, "qobs_backend_qubits")) == 200
    assert 'qobs_jobs_submitted_total{provider="ionq",source="trap",backend="other"} 4800.0' in text
    assert 'qobs_series_dropped_total{family="qobs_backend_qubits"} 4800' in text


def test_over_the_total_whole_families_go_the_full_tier_first(snapshot: Snapshot) -> None:
    """The operator's alerts live on the basic tier; single qubits are for a closer look."""
    exposition = Exposition(LabClock(snapshot.now), min_interval_seconds=0.0)
    exposition.refresh(snapshot)
    whole = exposition.series
    budget = Budget(total=whole - 1)
    exposition = Exposition(LabClock(snapshot.now), budget=budget, min_interval_seconds=0.0)
    exposition.refresh(snapshot)
    rendered = exposition.rendered()
    assert rendered is not None
    text = rendered.plain.decode()
    assert rendered.series <= whole - 1
    assert not series(text, "qobs_gate_duration_seconds")
    assert series(text, "qobs_qubit_t1_seconds")
    assert 'qobs_series_dropped_total{family="qobs_gate_duration_seconds"} 1' in text


@pytest.mark.parametrize("total", [400, 300, 200])
def test_the_last_rows_of_the_basic_tier_go_before_the_first(snapshot: Snapshot, total: int) -> None:
    """What tells whether qobs itself works is the last thing to go."""
    exposition = Exposition(LabClock(snapshot.now), budget=Budget(total=total))
    exposition.refresh(snapshot)
    rendered = exposition.rendered()
    assert rendered is not None
    assert rendered.series <= total
    assert b"qobs_provider_up{" in rendered.plain
    assert b"qobs_qubit_t1_seconds{" not in rendered.plain or total == 400


def test_a_large_device_is_shown_whole(snapshot: Snapshot) -> None:
    """A label limit of 200 values must not cut a device of 433 qubits in two."""
    qubits = tuple(QubitCalibration(qubit=index, t1_seconds=Measured(1e-4)) for index in range(433))
    full = Calibration(
        provider="ibm", source="research", account="a", backend="osprey", calibrated_at=snapshot.now, qubits=qubits
    )
    reading = msgspec.structs.replace(snapshot.calibrations[0], backend="osprey", full=full)
    exposition = Exposition(LabClock(snapshot.now))
    exposition.refresh(msgspec.structs.replace(snapshot, calibrations=(reading,)))
    rendered = exposition.rendered()
    assert rendered is not None
    assert len(series(rendered.plain.decode(), "qobs_qubit_t1_seconds")) == 433
