"""The filter language of the emulated Azure listings, as the official client writes it."""

from __future__ import annotations

from typing import Any

import pytest

from qobs.lab.azure_filter import BadFilter, parse_filter, parse_orderby

ITEM: dict[str, Any] = {
    "name": "vqe-h2 o'clock",
    "itemType": "Job",
    "jobType": "QuantumComputing",
    "providerId": "ionq",
    "target": "ionq.qpu.forte-1",
    "status": "Waiting",
    "creationTime": "2026-03-02T10:15:04.3233540+00:00",
}


@pytest.mark.parametrize(
    ("text", "through"),
    [
        ("", True),
        ("startswith(Name, 'vqe')", True),
        ("startswith(Name, 'qaoa')", False),
        ("startswith(Name,'vqe-h2 o''clock')", True),
        ("(ItemType eq 'Job')", True),
        ("(ProviderId eq 'rigetti' or ProviderId eq 'IonQ')", True),
        ("(ProviderId eq 'rigetti' or ProviderId eq 'pasqal')", False),
        ("(State eq 'Waiting') and (Target eq 'ionq.qpu.forte-1')", True),
        ("(State eq 'Waiting') and (Target eq 'ionq.simulator')", False),
        ("State ne 'Waiting'", False),
        ("CreationTime ge 2026-03-02", True),
        ("CreationTime le 2026-03-02", False),
        ("CreationTime le 2026-03-03", True),
        ("CreationTime gt 2026-03-02T10:15:04Z and CreationTime lt 2026-03-02T10:15:05Z", True),
        ("startswith(Name, 'vqe') and (JobType eq 'QuantumComputing') and CreationTime ge 2026-03-02", True),
    ],
)
def test_a_filter_lets_through_what_it_says(text: str, through: bool) -> None:
    """Callers that filter would otherwise be tested against answers that the real service never gives."""
    assert parse_filter(text)(ITEM) is through


@pytest.mark.parametrize(
    "text",
    [
        "Name",
        "Name like 'x'",
        "Colour eq 'red'",
        "State eq Waiting",
        "State eq 'Waiting' State eq 'Failed'",
        "(State eq 'Waiting'",
        "(State eq 'Waiting' and ItemType eq 'Job')",
        "CreationTime ge yesterday",
        "CreationTime ge 2026-03-01CreationTime le 2026-03-02",
        "startswith(Target, 'x')",
        "startswith(Name 'x')",
        "State eq 'Waiting",
        "'and'",
    ],
)
def test_a_filter_outside_the_grammar_is_refused(text: str) -> None:
    """A filter that is silently ignored would hide a caller's mistake."""
    with pytest.raises(BadFilter):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", ("creationTime", False)),
        ("CreationTime desc", ("creationTime", True)),
        ("State asc", ("status", False)),
        ("Name", ("name", False)),
    ],
)
def test_an_order_names_its_field_and_direction(text: str, order: tuple[str, bool]) -> None:
    """The default goes from old to new, as the real listing does."""
    assert parse_orderby(text) == order


@pytest.mark.parametrize("text", ["Status desc", "CreationTime down", "CreationTime desc, Name asc"])
def test_an_unknown_order_is_refused(text: str) -> None:
    """The service calls a job's status State here and nowhere else: the trap must be there in the lab as well."""
    with pytest.raises(BadFilter):
        parse_orderby(text)
