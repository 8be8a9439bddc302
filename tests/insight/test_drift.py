"""Drift of a calibration: what is an anomaly, what is not, and that a history can be told in any order."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.insight.anomaly import Quiet, State, Verdict
from qobs.insight.drift import HISTORY, Watch, followed, histories
from qobs.insight.figures import FIGURES, Observation, Reading, observed
from qobs.insight.robust import JUMP_LIMIT, shared_limit
from qobs.insight.track import LEAST, MOST
from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration

Observe = Callable[..., Observation]
Device = Callable[..., list[Observation]]
SETTINGS = settings(derandomize=True, max_examples=30, deadline=None)
WIGGLE = [1.0, 1.02, 0.97, 1.01, 0.99, 1.03, 0.98, 1.0, 1.02, 0.99, 1.01, 0.98]


def state(watch: Watch, name: str) -> State:
    return verdict(watch, name).state


def verdict(watch: Watch, name: str) -> Verdict:
    return next(each for each in watch.verdicts if each.signal == f"calibration_{name}")


def states(observations: Iterable[Observation], name: str, quiet: Quiet | None = None) -> list[State]:
    return [state(watch, name) for watch in histories(observations, quiet)]


@pytest.fixture
def series(observe: Observe) -> Callable[..., list[Observation]]:
    """Twelve calm days of one figure, then the given values, as factors of the usual one."""

    def make(name: str, usual: float, *factors: float) -> list[Observation]:
        return [observe(day, **{name: usual * factor}) for day, factor in enumerate([*WIGGLE, *factors])]

    return make


Series = Callable[..., list[Observation]]


def test_a_new_backend_is_learnt_before_it_is_judged(observe: Observe) -> None:
    """Ten snapshots say what is usual; an alarm on the third would be a guess."""
    wild = [observe(day, t1=1e-4 * 3.0 ** (day % 5)) for day in range(LEAST + 1)]
    assert states(wild, "t1")[:LEAST] == [State.LEARNING] * LEAST
    assert states(wild, "t1")[LEAST] is not State.LEARNING


def test_two_breaches_in_a_row_make_an_anomaly(series: Series) -> None:
    """One bad calibration is repeated the next day; two are worth a ticket."""
    found = states(series("gate_error_2q", 7e-3, 2.0, 2.0), "gate_error_2q")
    assert found[-2:] == [State.SUSPECT, State.ANOMALOUS]
    assert states(series("gate_error_2q", 7e-3, 2.0, 1.0, 1.0), "gate_error_2q")[-3:] == [State.SUSPECT, State.OK, State.OK]


@pytest.mark.parametrize(
    ("name", "usual", "worse"), [("t1", 2e-4, 0.5), ("t2", 1e-4, 0.5), ("readout_error", 0.02, 2.0), ("gate_error_1q", 2e-4, 2.0)]
)
def test_only_the_harmful_direction_alarms(series: Series, name: str, usual: float, worse: float) -> None:
    """A device that got better must not open a ticket."""
    assert states(series(name, usual, worse, worse), name)[-1] is State.ANOMALOUS
    better = followed(series(name, usual, 1 / worse, 1 / worse))
    assert (state(better, name), verdict(better, name).score) == (State.OK, 0.0)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_gate_duration_alarms_both_ways(observe: Observe, factor: float) -> None:
    """Other pulses are another device, whether they are shorter or longer."""
    constant = [observe(day, gate_duration_2q=68e-9 * (factor if day >= 12 else 1.0)) for day in range(14)]
    assert states(constant, "gate_duration_2q")[-1] is State.ANOMALOUS


def test_a_constant_alarms_only_beyond_its_resolution_and_least_effect(observe: Observe) -> None:
    """One more faulty qubit is a change of the list; five more are an event."""
    for more, expected in ((1, State.OK), (2, State.OK), (5, State.ANOMALOUS)):
        counts = [observe(day, faulty_qubits=3 + (more if day >= 12 else 0)) for day in range(14)]
        assert states(counts, "faulty_qubits")[-1] is expected, more


def test_a_significant_change_that_is_small_does_not_alarm(observe: Observe) -> None:
    """With very steady figures 5 % is many standard deviations, and still nobody's problem."""
    steady = [observe(day, t1=2e-4 * (1 + 1e-4 * (day % 3)) * (0.95 if day >= 12 else 1.0)) for day in range(16)]
    assert set(states(steady, "t1")[LEAST:]) == {State.OK}
    assert 0.4 < (verdict(followed(steady), "t1").score or 0.0) < 0.6


def test_it_ends_below_seventy_percent_of_the_limit(series: Series) -> None:
    """A value that hovers at the limit must not open and close a ticket every day."""
    limit = verdict(followed(series("t1", 2e-4, 0.5)), "t1").limit
    assert limit is not None
    hovering = limit / 2e-4 * 1.01  # just inside the limit
    found = states(series("t1", 2e-4, 0.5, 0.5, hovering, hovering, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), "t1")
    assert found[13:16] == [State.ANOMALOUS] * 3
    assert found[-1] is State.OK


def test_the_baseline_is_frozen_while_it_alarms_and_adopted_in_the_end(series: Series) -> None:
    """An anomaly must not become normal by lasting a week, nor stay a ticket for a year."""
    long = series("gate_error_2q", 7e-3, *[2.0 * factor for factor in WIGGLE * 4])
    seen = [(state(watch, "gate_error_2q"), verdict(watch, "gate_error_2q").baseline) for watch in histories(long)]
    alarms = [baseline for state, baseline in seen if state is State.ANOMALOUS]
    assert len(alarms) == MOST - 2
    assert len(set(alarms)) == 1
    assert seen[-1][0] is State.OK
    assert seen[-1][1] == pytest.approx(14e-3, rel=0.05)


def test_one_wild_value_is_not_a_trend(series: Series) -> None:
    """A fit that failed once must not push a moving average over its limit for a week."""
    found = states(series("t1", 2e-4, 1e-6, *WIGGLE), "t1")
    assert found[12] is State.SUSPECT
    assert State.ANOMALOUS not in found


def test_another_version_is_learnt_anew_and_another_calibration_id_is_not(observe: Observe) -> None:
    """After a change of the device's configuration the old figures are another device's."""
    before = [observe(day, version="1.3.1", t1=2e-4 * WIGGLE[day]) for day in range(12)]
    after = [observe(day, version="1.3.2", t1=1e-4) for day in range(12, 14)]
    assert states([*before, *after], "t1")[-3:] == [State.OK, State.LEARNING, State.LEARNING]
    untold = [observe(day, version=None, t1=1e-4) for day in range(12, 14)]
    assert states([*before, *untold], "t1")[-1] is State.ANOMALOUS
    ids = [
        Calibration(
            provider="ionq",
            source="lab",
            account="a",
            backend="qpu.forte-1",
            calibrated_at=datetime(2026, 1, 1 + day, tzinfo=UTC),
            calibration_id=f"c{day}",
            published=DeviceCalibration(t1_seconds=100.0, gate_error_2q=0.005 * WIGGLE[day]),
        )
        for day in range(12)
    ]
    assert state(followed(map(observed, ids)), "gate_error_2q") is State.OK


def test_excluded_snapshots_are_as_if_never_made(series: Series) -> None:
    """Figures taken during maintenance are of a device that nobody could use."""
    told = series("t1", 2e-4, 0.3, 0.3, 1.0)
    window = Exclusion(
        id="m", from_at=told[12].at, to_at=told[14].at, reason="upgrade", scope={"backend": ("ibm_fez",), "provider": ("ibm",)}
    )
    labels = {"provider": "ibm", "source": "lab", "backend": "ibm_fez"}
    assert State.ANOMALOUS not in states(told, "t1", Quiet([window], labels))
    assert followed(told, Quiet([window], labels)) == followed([*told[:12], told[14]])
    for other in ({**labels, "backend": "ibm_torino"}, {"provider": "ibm"}):
        assert State.ANOMALOUS in states(told, "t1", Quiet([window], other))


@pytest.mark.parametrize("scope", [{"priority": ("low",)}, {"backend": ("ibm_fez",), "slo": ("job-success",)}])
def test_an_exclusion_of_a_part_does_not_cover_a_backend(scope: dict[str, tuple[str, ...]]) -> None:
    """Maintenance of one objective or of the low priority must not silence the device."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    window = Exclusion(id="m", from_at=now, to_at=now + timedelta(days=1), reason="", scope=scope)
    assert not Quiet([window], {"provider": "ibm", "source": "lab", "backend": "ibm_fez"}).at(now)


def test_a_missing_figure_is_no_data_and_comes_back(series: Series, observe: Observe) -> None:
    """A figure that a provider stops publishing is neither good nor bad, and its history waits for it."""
    gap = [*series("t1", 2e-4), observe(12, t2=1e-4), observe(13, t1=2e-4)]
    assert states(gap, "t1")[-2:] == [State.NO_DATA, State.OK]
    nonsense = [*series("t1", 2e-4), observe(12, t1=0.0), observe(13, t1=-1.0)]
    assert states(nonsense, "t1")[-2:] == [State.NO_DATA, State.NO_DATA]


def test_a_value_that_was_not_measured_again_proves_nothing_again() -> None:
    """IBM repeats yesterday's T1 in every snapshot of today: one bad measurement must not count as ten."""

    def snapshot(hour: int, t1: float, measured: int) -> Observation:
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        reading = Reading(t1, None, begin + timedelta(hours=measured))
        return Observation(at=begin + timedelta(hours=hour), readings={"t1": reading})

    calm = [snapshot(hour, 2e-4 * WIGGLE[hour], hour) for hour in range(12)]
    repeated = [snapshot(hour, 5e-5, 12) for hour in range(12, 20)]
    assert states([*calm, *repeated], "t1")[-1] is State.SUSPECT
    again = snapshot(20, 5e-5, 20)
    assert states([*calm, *repeated, again], "t1")[-1] is State.ANOMALOUS


def test_an_error_bar_keeps_a_rough_value_from_alarming(series: Series) -> None:
    """A provider that says how little it knows must be believed."""
    told = series("gate_error_2q", 7e-3)
    for error, expected in ((None, State.ANOMALOUS), (1e-4, State.ANOMALOUS), (5e-3, State.OK)):
        rough = [
            Observation(at=told[-1].at + timedelta(days=day), readings={"gate_error_2q": Reading(10.5e-3, error)})
            for day in (1, 2)
        ]
        assert state(followed([*told, *rough]), "gate_error_2q") is expected, error


def test_more_figures_at_once_make_each_limit_wider(observe: Observe) -> None:
    """One ticket a backend: ten figures together may be wrong as often as one alone."""
    factors = [*(factor**5 for factor in WIGGLE), 0.1]
    alone = followed([observe(day, t1=2e-4 * factor) for day, factor in enumerate(factors)])
    others = [figure.name for figure in FIGURES if figure.name != "t1"]
    both = followed([observe(day, t1=2e-4 * f, **dict.fromkeys(others, 0.01 * f)) for day, f in enumerate(factors)])
    assert [verdict(watch, "t1").test for watch in (alone, both)] == ["jump", "jump"]
    one, ten = (math.log((verdict(watch, "t1").baseline or 0) / (verdict(watch, "t1").limit or 1)) for watch in (alone, both))
    assert ten / one == pytest.approx(shared_limit(JUMP_LIMIT, 10) / JUMP_LIMIT)


@SETTINGS
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_a_change_of_unit_changes_no_state(device: Device, seed: int, unit: float) -> None:
    """A constant shift of the log-values: only change matters, not how long T1 is."""
    only = {"t1": 2e-3}
    plain = device(seed, days=25, noise=0.15, figures=only)
    scaled = device(seed, days=25, noise=0.15, figures={"t1": 2e-3 * unit})
    assert states(plain, "t1") == states(scaled, "t1")
    score = [verdict(followed(told), "t1").score for told in (plain, scaled)]
    assert score[0] == pytest.approx(score[1], rel=1e-6, abs=1e-9)


@SETTINGS
@given(st.integers(0, 10**6), st.lists(st.floats(1e-4, 0.5), min_size=2, max_size=6))
def test_a_worse_value_never_scores_less(device: Device, observe: Observe, seed: int, values: list[float]) -> None:
    """Monotone in the newest value, whatever the history: else a worse device could look better."""
    for noise in (0.0, 0.1):
        history = device(seed, days=20, noise=noise, figures={"gate_error_2q": 7e-3})
        scores = [
            verdict(followed([*history, observe(20, gate_error_2q=v)]), "gate_error_2q").score or 0.0 for v in sorted(values)
        ]
        assert scores == sorted(scores)


@SETTINGS
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(device: Device, seed: int, rng: random.Random) -> None:
    """Snapshots of equal times, and late ones, lead to the states that a replay of the store gives."""
    told = device(seed, days=20, noise=0.3) + device(seed + 1, days=20, noise=0.3)
    shuffled = list(told)
    rng.shuffle(shuffled)
    assert followed(shuffled) == followed(told)


def test_only_the_kept_history_counts(device: Device) -> None:
    """A daemon that has run for a year and one that has just started must say the same."""
    told = device(3, days=HISTORY + 40, noise=0.2)
    assert followed(told) == followed(told[-HISTORY:])


def band(trials: int, chance: float) -> tuple[int, int]:
    """The counts that a binomial distribution leaves after 0.05 % are cut off at each end."""
    parts = [math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(trials + 1)]
    inside = [k for k in range(trials + 1) if sum(parts[: k + 1]) > 5e-4 and sum(parts[k:]) > 5e-4]
    return inside[0], inside[-1]


def onsets(told: Iterable[Observation]) -> int:
    """How often a ticket opens: some figure is anomalous, and none was."""
    alarms = [any(v.state is State.ANOMALOUS for v in watch.verdicts) for watch in histories(told)]
    return sum(now and not before for before, now in zip([False, *alarms], alarms, strict=False))


@pytest.mark.parametrize(("noise", "share"), [(0.05, 0.015), (0.1, 0.135), (0.2, 0.34)])
def test_false_tickets_of_a_steady_device_are_as_rare_as_documented(device: Device, noise: float, share: float) -> None:
    """docs/anomalies.md tells how many steady devices get a ticket within 100 snapshots: all figures, both tests together."""
    devices = 25
    hit = sum(onsets(device(seed, days=100, noise=noise)) > 0 for seed in range(devices))
    low, high = band(devices, share)
    assert low <= hit <= high


def delay(told: list[Observation], begin: int, name: str) -> int:
    """Snapshots from the first changed one to the ticket, both counted; as many as there are if none came."""
    found = states(told, name)
    return next((day - begin + 1 for day in range(begin, len(found)) if found[day] is State.ANOMALOUS), len(told))


def test_a_doubled_error_is_a_ticket_at_the_second_snapshot(device: Device) -> None:
    """The plainest fault of a device must be found as soon as the rule allows."""
    delays = [
        delay(
            device(seed, days=50, factor=lambda day, n: 2.0 if n == "gate_error_2q" and day >= 40 else 1.0), 40, "gate_error_2q"
        )
        for seed in range(25)
    ]
    assert max(delays) == 2


@pytest.mark.parametrize(("name", "daily"), [("gate_error_2q", 1.02), ("t1", 0.98)])
def test_a_slow_drift_is_found_within_two_weeks(device: Device, name: str, daily: float) -> None:
    """Two percent a day moves the baseline along: only the moving average sees it, and it must."""

    def factor(day: int, figure: str) -> float:
        return daily ** max(0, day - 39) if figure == name else 1.0

    delays = sorted(delay(device(seed, days=70, factor=factor), 40, name) for seed in range(25))
    assert delays[len(delays) // 2] <= 12
    assert delays[-1] <= 16


def calibration(day: int, *, t1: float, measured: datetime | None = None, published: Any = None) -> Calibration:
    return Calibration(
        provider="ibm",
        source="lab",
        account="a",
        backend="ibm_fez",
        calibrated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day),
        version="1.0.0",
        qubits=(QubitCalibration(qubit=0, t1_seconds=Measured(t1, measured)),),
        gates=(GateCalibration(gate="cz", qubits=(0, 1), error=Measured(7e-3, measured), duration_seconds=Measured(68e-9)),),
        published=published,
    )


def test_a_snapshot_is_read_with_its_times_and_version() -> None:
    """The time of measurement comes from the parts behind a figure; a published figure has none."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = observed(calibration(0, t1=1e-4, measured=now, published=DeviceCalibration(gate_error_2q=5e-3)))
    assert told.version == "1.0.0"
    assert told.readings["t1"] == Reading(1e-4, None, now)
    assert told.readings["gate_error_2q"] == Reading(5e-3, None, None)
    assert told.readings["faulty_qubits"] == Reading(0.0)
    assert "t2" not in told.readings


MEDIANS = Path(__file__).parents[1] / "fixtures" / "anomalies" / "ibm_device_medians.jsonl"


@pytest.fixture(scope="module")
def real() -> dict[str, list[Observation]]:
    """Device medians of exported IBM calibration tables, 2024 and 2025, by backend."""
    found: dict[str, list[Observation]] = {}
    for line in MEDIANS.read_text().splitlines():
        told = json.loads(line)
        backend, moment = told.pop("backend"), datetime.fromisoformat(told.pop("at"))
        found.setdefault(backend, []).append(
            Observation(at=moment, readings={name: Reading(value) for name, value in told.items()})
        )
    return found


def test_real_devices_of_ordinary_months_open_no_ticket(real: dict[str, list[Observation]]) -> None:
    """The medians of real devices move by a few percent from week to week: that is no drift."""
    assert {backend: len(told) for backend, told in real.items()} == {"ibm_brisbane": 12, "ibm_sherbrooke": 16, "ibm_torino": 11}
    for told in real.values():
        found = [each.state for watch in histories(told) for each in watch.verdicts]
        assert State.OK in found
        assert not {State.SUSPECT, State.ANOMALOUS} & set(found)


@pytest.mark.parametrize("backend", ["ibm_brisbane", "ibm_sherbrooke"])
@pytest.mark.parametrize(("name", "factor"), [("gate_error_2q", 2.0), ("t1", 0.5)])
def test_a_fault_put_into_a_real_history_opens_one(
    real: dict[str, list[Observation]], backend: str, name: str, factor: float
) -> None:
    """Silence on real data must not come from being deaf to it."""
    told = real[backend]
    worse = [
        Observation(at=each.at, readings={**each.readings, name: Reading(factor * each.readings[name].value)})
        for each in told[-2:]
    ]
    assert state(followed([*told[:-2], *worse]), name) is State.ANOMALOUS
