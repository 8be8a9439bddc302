"""OpenSLO v1 documents being built, as plain mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from qobs.slo.objective import Severity
from qobs.slo.openslo.alerts import CAP_FACTOR, MWMBR, PROFILE
from qobs.slo.openslo.document import Plain
from qobs.slo.openslo.kinds import API
from qobs.slo.openslo.profile import default_pairs

LONGEST_DESCRIPTION = 1050


@dataclass(slots=True, kw_only=True)
class Draft:
    """An SLO under construction; ``target`` is a ratio in (0, 1)."""

    name: str
    service: str
    target: Decimal
    indicator: Mapping[str, Plain]
    window: Mapping[str, Plain]
    description: str = ""
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    budgeting: str = "Occurrences"
    objectives: Sequence[Mapping[str, Plain]] = ()

    def body(self) -> dict[str, Plain]:
        """The whole document."""
        metadata: dict[str, Plain] = {"name": self.name}
        if self.display_name:
            metadata["displayName"] = self.display_name
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(sorted(self.annotations.items()))
        spec: dict[str, Plain] = {"description": self.description} if self.description else {}
        spec |= {
            "service": self.service,
            "indicator": {"metadata": {"name": self.name}, "spec": dict(self.indicator)},
            "timeWindow": [dict(self.window)],
            "budgetingMethod": self.budgeting,
            "objectives": [dict(item) for item in self.objectives] or [{"target": self.target}],
        }
        return {"apiVersion": API, "kind": "SLO", "metadata": metadata, "spec": spec}


def rolling(duration: str) -> dict[str, Plain]:
    """A rolling time window."""
    return {"duration": duration, "isRolling": True}


def cap_if_unreachable(draft: Draft, targets: Sequence[Decimal], period: timedelta) -> bool:
    """Cap the factors of the default pairs where total failure could never reach one; whether that was needed."""
    pairs = default_pairs(draft.annotations.get(PROFILE, "qobs"), period)
    wanted = draft.annotations.get(MWMBR, "default")
    pages = [pair for pair in pairs if wanted == "default" or pair.severity is Severity(wanted)] if wanted != "none" else []
    needed = any(pair.factor * (1 - target) >= 1 for pair in pages for target in targets)
    if needed:
        draft.annotations[CAP_FACTOR] = "true"
    return needed
