"""docs/openslo.md: its examples load, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qobs.slo.openslo import NATIVE_LABELS, NATIVE_SLIS, load_objectives
from qobs.slo.openslo.alerts import CHOICES, FREE
from qobs.slo.openslo.kinds import SPECS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "openslo.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_guide_loads_without_a_warning(example: str) -> None:
    """A first file is copied from the guide: it must work as it stands."""
    loaded = load_objectives([("example.yaml", example)])
    assert loaded.objectives
    assert loaded.warnings == ()


def test_the_guide_names_every_kind_annotation_indicator_and_label() -> None:
    """What is not in the guide is found by reading source code, or never."""
    assert len(EXAMPLES) >= 3
    words = (*SPECS, *CHOICES, *FREE, *NATIVE_SLIS, *NATIVE_LABELS)
    assert [word for word in words if word not in TEXT] == []
    assert [value for choices in CHOICES.values() for value in choices if value not in TEXT] == []


def test_the_guide_names_every_code_that_the_source_can_raise() -> None:
    """A code in a message leads to the guide, and must be found there."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "qobs" / "slo" / "openslo").glob("*.py"))
    calls = re.findall(r'(?:error|warning|by_mode|told)\((?:[^()]|\([^()]*\))*?"([a-z]+(?:_[a-z]+)*)"\s*\)', source)
    assert len(set(calls)) > 20
    assert sorted({code for code in calls if f"`{code}`" not in TEXT}) == []
