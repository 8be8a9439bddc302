"""What a job ran and measured, and what was found out about it: the words between sources, store and the reference room."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from qobs.model import JobKey

VERIFICATIONS_TOTAL = "qobs_verifications_total"
"""Counter of verdicts, by provider, source, backend and verdict: for who counts them and who shows them."""


class Program(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One circuit of a job with its counts, as the provider tells them.

    ``kind`` names the circuit's language as :func:`qobs.reference.parse.parse` knows it; None: it is to be recognised.
    ``counts`` is keyed by the provider's own words for outcomes, ``order`` says how such a word is read
    (as :func:`qobs.reference.counts.read_counts` knows it). ``physical`` are the hardware's qubits where the circuit does not
    name them itself. ``probabilities`` instead of counts: shares of ``shots`` that the provider computed itself.
    """

    index: int
    circuit: bytes
    kind: str | None = None
    counts: Mapping[str, int] = {}
    order: str | None = None
    shots: int | None = None
    physical: tuple[int, ...] | None = None
    probabilities: Mapping[str, float] | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one finished job ran and measured. ``executed_at`` is when it ran: its calibration is the last one before."""

    key: JobKey
    source: str
    backend: str
    executed_at: datetime
    programs: tuple[Program, ...]
    calibration_id: str | None = None
    missing: str | None = None
    """Why there is nothing to verify (the provider keeps no circuit, results expired); then ``programs`` is empty."""


class Verification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one circuit of a job: the verdict, and what it rests on. Figures are None where nothing was compared.

    ``verdict`` is consistent, worse, inconclusive or unverified; ``executed_at`` is the event time of indicator
    result_consistency, which counts consistent as good and worse as bad, and the others not at all. ``shape`` is the circuit's
    structural hash, its family; ``epoch`` the calibration that the reference was made from.
    """

    key: JobKey
    index: int
    source: str
    backend: str
    executed_at: datetime
    verified_at: datetime
    verdict: str
    reason: str
    method: str
    shots: int = 0
    p_value: float | None = None
    tvd: float | None = None
    floor: float | None = None
    excess: float | None = None
    effect: float | None = None
    margin: float | None = None
    z: float | None = None
    xeb: float | None = None
    shape: str | None = None
    epoch: str | None = None
    seconds: float | None = None
    degraded: tuple[str, ...] = ()
    priority: str | None = None
    workload: str | None = None
    team: str | None = None
