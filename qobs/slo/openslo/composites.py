"""The budget of a composite."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from qobs.slo.objective import Member
from qobs.slo.openslo.profile import tidy


def composite_target(members: Sequence[Member], *, worst_of: bool) -> Decimal:
    """The target at which burn and budget of a composite agree: its budget is 1 over the burn of a total outage.

    Weighted: the harmonic mean of the members' budgets; worst_of: the smallest budget. Equal targets give that target.
    """
    if worst_of or len({member.target for member in members}) == 1:
        return max(member.target for member in members)
    weights = [Decimal(repr(member.weight)) for member in members]
    outage = sum((weight / (1 - member.target) for weight, member in zip(weights, members, strict=True)), Decimal(0))
    return tidy(1 - sum(weights) / outage)
