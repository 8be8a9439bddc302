"""Histories of made-up devices: the same noise for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from qobs.insight.figures import Observation, Reading

BEGIN = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
DEVICE = {"t1": 2e-4, "t2": 1.5e-4, "readout_error": 0.015, "gate_error_1q": 2.5e-4, "gate_error_2q": 7e-3}


def at(day: float) -> datetime:
    return BEGIN + timedelta(days=day)


Observe = Callable[..., Observation]


@pytest.fixture(scope="session")
def observe() -> Observe:
    """Makes one snapshot of the given figures on a day."""

    def make(day: float, *, version: str | None = None, **values: float) -> Observation:
        return Observation(at=at(day), version=version, readings={name: Reading(value) for name, value in values.items()})

    return make


Device = Callable[..., list[Observation]]


@pytest.fixture(scope="session")
def device(observe: Observe) -> Device:
    """Daily snapshots with independent lognormal noise, each figure times ``factor(day, name)``."""

    def make(
        seed: int,
        *,
        days: int,
        noise: float = 0.05,
        factor: Callable[[int, str], float] = lambda day, name: 1.0,
        figures: Mapping[str, float] = DEVICE,
    ) -> list[Observation]:
        rng = random.Random(seed)
        return [
            observe(day, **{n: v * math.exp(rng.gauss(0.0, noise)) * factor(day, n) for n, v in figures.items()})
            for day in range(days)
        ]

    return make
