"""What holds for any text: wrong input is told, never a crash; what is written reads back as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qobs.errors import ConfigError
from qobs.slo.importing import export, import_documents
from qobs.slo.openslo import Object, load_objectives
from qobs.slo.openslo.document import plain, read
from qobs.slo.openslo.promql import fault

BAD = Path(__file__).parent / "bad"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "slo"
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(BAD.glob("*.yaml"))]
FOREIGN = [path.read_text(encoding="utf-8") for path in sorted(FIXTURES.glob("*.yaml"))]


def loads_or_tells(text: str) -> None:
    """Loading and importing end in an answer or in findings."""
    for attempt in (load_objectives, import_documents):
        try:
            attempt([("any.yaml", text)])
        except ConfigError as problem:
            told = problem.findings
        else:
            continue
        assert told
        assert all(finding.code and finding.hint for finding in told)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(text=st.text(max_size=200))
def test_any_text_is_loaded_or_told(text: str) -> None:
    """A file that is no YAML at all must end in a message, not in a traceback."""
    loads_or_tells(text)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2000),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=6),
    st.sampled_from(["30d", "1M", "gt", "page", "openslo/v1", "SLO", "x-y", "2026-01-01 00:00:00", "UTC", "~(", "{{.window}}"]),
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6
)


def places(node: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Paths of everything below a plain value."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, child in inner for found in places(child, (*path, key)))]


def replaced(node: object, path: tuple[object, ...], value: object) -> object:
    """The plain value with another one at ``path``."""
    if not path:
        return value
    if isinstance(node, dict):
        return {key: replaced(child, path[1:], value) if key == path[0] else child for key, child in node.items()}
    assert isinstance(node, list)
    return [replaced(child, path[1:], value) if index == path[0] else child for index, child in enumerate(node)]


WHOLE = [yaml.safe_load(text) for text in TEXTS if text.startswith("apiVersion: openslo/v1\nkind: SLO") and "---" not in text]
DOCUMENTS = WHOLE + [document for text in FOREIGN for document in yaml.safe_load_all(text)]


@settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_at_any_place_is_loaded_or_told(data: st.DataObject) -> None:
    """One wrong value in an otherwise right document is what people really write."""
    document = data.draw(st.sampled_from(DOCUMENTS))
    path = data.draw(st.sampled_from(places(document)))
    loads_or_tells(json.dumps(replaced(document, path, data.draw(trees)), default=str))


names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda value: abs(value.adjusted()) < 300 and len(value.as_tuple().digits) < 30
)
values = st.recursive(
    st.one_of(
        st.text(),
        st.booleans(),
        numbers,
        st.none(),
        st.sampled_from(["1e3", "0x1F", "yes", "no", "1:30", "~", "2026-01-01", "=", "<<"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def printable(value: object) -> bool:
    """Whether YAML can hold every character of a value."""
    if isinstance(value, str):
        return all(char.isprintable() or char in "\n\t\x85\u2028" for char in value) and "\ufeff" not in value
    if isinstance(value, dict):
        return all(printable(key) and printable(child) for key, child in value.items())
    return all(printable(child) for child in value) if isinstance(value, list) else True


@settings(
    derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(name=names, spec=st.dictionaries(st.text(), values, max_size=3).filter(printable))
def test_what_is_exported_reads_back_as_it_was(name: str, spec: dict[str, object]) -> None:
    """A number that came back as text, or a word as a truth value, would change somebody's objective in silence."""
    body = {"apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": name}, "spec": spec}
    nodes, findings = read("x", export([Object(kind="SLI", name=name, body=body)]))
    assert findings == ()
    assert [plain(node) for node in nodes] == [body]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.yaml")), ids=lambda path: path.name)
def test_importing_the_outcome_again_changes_nothing(path: Path) -> None:
    """Import must come to rest: text that changes with every run makes every review unreadable."""
    once = import_documents([(path.name, path.read_text(encoding="utf-8"))])
    again = import_documents([("again.yaml", once.text)])
    assert again.text == once.text


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.yaml")), ids=lambda path: path.name)
def test_exported_objects_load_as_the_same_objects(path: Path) -> None:
    """Parse and export are inverse on everything that import makes."""
    text = import_documents([(path.name, path.read_text(encoding="utf-8"))]).text
    first = load_objectives([("same", text)])
    second = load_objectives([("same", export(first.objects))])
    assert second.objects == first.objects
    assert second.objectives == first.objectives


def test_numbers_keep_every_digit() -> None:
    """A target of 0.99999 that became 0.9999900000000001 on the way prints a wrong budget on every page."""
    nodes, _ = read("x", "[0.999990, 99.95, 1e-3]")
    assert [plain(node) for node in nodes] == [Decimal("0.999990"), Decimal("99.95"), Decimal("0.001")]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(text=st.text(alphabet="ab1.[]{}()=~!'\"\\+-*/<>@:, \n{{.window}}", max_size=40))
def test_any_query_is_read_or_told(text: str) -> None:
    """A query is free text from a file: whatever it holds, the reader must end."""
    found = fault(text)
    assert found is None or found


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "x", "{a: " * 100_000, "a: &x [*x]"])
def test_bottomless_documents_are_told(text: str) -> None:
    """A file of brackets must not take the whole process with it, as YAML's fast reader would let it."""
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_objectives([("deep.yaml", text)])


def test_tagged_text_stays_text() -> None:
    """`!!str 2026` is how a name of digits is written, and is no number."""
    nodes, findings = read("x", "[!!str 2026, '2026', 2026, \"\\ud83d\\ude00\"]")
    assert findings == ()
    assert [plain(node) for node in nodes] == ["2026", "2026", Decimal(2026), "\U0001f600"]
