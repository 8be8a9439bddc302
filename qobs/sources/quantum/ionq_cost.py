"""What IonQ says about the price of a job (v0.4: ``/jobs/{id}/cost``), and how seldom one has to ask.

A unit is a currency code, or ``credit``: amounts of two units are never added or compared.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from qobs.errors import BadPayload
from qobs.sources.base import Answer
from qobs.sources.decode import BadRecord, convert_record, decode_object
from qobs.sources.quantum.ionq_wire import WireCost, WireMoney

REMEMBERED = 4096
"""Final costs kept in memory, oldest out first: about a megabyte."""

REFUSAL = timedelta(hours=1)
"""How long a refusal to show costs is taken to hold for the whole key."""


class Cost(NamedTuple):
    """What is known of a job's price. ``final``: nothing more will be told."""

    charged: Decimal | None = None
    estimated: Decimal | None = None
    currency: str | None = None
    final: bool = False


def read_cost(body: bytes) -> Cost:
    """What ``/jobs/{id}/cost`` says; an estimate in another unit than the charge is dropped, for the two must not mix.

    Raises:
        BadRecord: the body is not what the contract says.
        BadPayload: it is no JSON object at all.
    """
    wire = _wire(body)
    charged, estimated = wire.cost, wire.estimated_cost
    currency = _currency(charged or estimated)
    if charged and estimated and _currency(estimated) != currency:
        estimated = None
    return Cost(
        charged=decimal(charged.value) if charged else None,
        estimated=decimal(estimated.value) if estimated else None,
        currency=currency,
        final=charged is not None or wire.dry_run is True,
    )


def _wire(body: bytes) -> WireCost:
    try:
        return msgspec.json.decode(body, type=WireCost)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The slower way says what is wrong.
        return convert_record(decode_object(body, what="cost"), WireCost)


class Charges:
    """Final costs by job, and whether the key may see costs at all: what need not be asked again.

    It only saves requests: an answer given from here is the answer that the service gave.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._bodies: dict[str, bytes] = {}
        self._refused_until: datetime | None = None

    def known(self, job_id: str) -> bytes | None:
        """The body with the job's final cost; None: ask."""
        return self._bodies.get(job_id)

    def refused(self, now: datetime) -> bool:
        """True for an hour after the service refused to show costs to this key."""
        return self._refused_until is not None and now < self._refused_until

    def learn(self, job_id: str, answer: Answer, now: datetime) -> bytes | None:
        """Take in an answer: its body, empty where no cost is known yet, None where this key may not see costs."""
        if answer.status == 403:
            self._refused_until = now + REFUSAL
            return None
        if answer.status == 404:
            return b""
        if _is_final(answer.body):
            self._bodies[job_id] = answer.body
            if len(self._bodies) > REMEMBERED:
                del self._bodies[next(iter(self._bodies))]
        return answer.body


def _is_final(body: bytes) -> bool:
    try:
        return read_cost(body).final
    except (BadRecord, BadPayload):
        return False


def decimal(value: float) -> Decimal:
    """The decimal that was written: the shortest one that gives this float."""
    if not math.isfinite(value):
        raise BadRecord("expected a finite amount")
    return Decimal(str(value))


def _currency(money: WireMoney | None) -> str | None:
    """ISO code in capitals, or the vendor's own unit in small letters."""
    if money is None:
        return None
    unit = money.unit.strip()[:16]
    return unit.upper() if re.fullmatch(r"[A-Za-z]{3}", unit) else unit.lower() or None
