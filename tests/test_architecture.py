"""The house: who may import whom, what a pure room must not touch, and habits that keep it readable. Checked on the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "qobs").rglob("*.py"))

WORDS = {"model", "errors", "stats", "clock", "secret", "buckets", "columns", "exclusion", "result", "__init__"}
"""What every room shares. Words import words and nothing else of qobs."""

ROOMS: dict[str, set[str]] = {
    "config": set(),
    "sources": set(),
    "store": set(),
    "slo": set(),
    "reference": set(),
    "insight": set(),
    "export": set(),
    "web": set(),
    "instrument": set(),
    "lab": set(),
    "logs": set(),
}
"""Rooms stand side by side on the words: what else each may import, whole room by whole room."""

DOORS_TO_SUMS = {
    ("export/alertmanager.py", "slo"),
    ("export/rule_tests.py", "slo"),
    ("export/rules.py", "slo"),
    ("export/rules_alerts.py", "slo"),
    ("export/rules_expected.py", "slo"),
    ("export/rules_native.py", "slo"),
    ("export/rules_recording.py", "slo"),
    ("export/rules_unit.py", "slo"),
    ("export/self_alerts.py", "slo"),
    ("export/verification_alerts.py", "slo"),
    ("export/self_alert.py", "slo"),
    ("export/anomaly_alerts.py", "slo"),
}
"""Single files that may read a pure room."""

WIRING = {"daemon", "cli", "demo", "__main__"}
"""Only these import across rooms."""

PURE = {"slo", "reference", "insight", "model", "errors", "stats", "buckets", "columns", "exclusion", "result"}
"""No clock, socket, disk, environment or chance: time and randomness are arguments."""

IMPURE = {
    *(
        "aiohttp",
        "asyncio",
        "concurrent",
        "http",
        "multiprocessing",
        "select",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "urllib",
    ),
    *("glob", "io", "os", "pathlib", "shutil", "sqlite3", "sqlite_utils", "tempfile", "ctypes", "logging", "signal"),
    *("random", "secrets", "time"),
}

THIRD_PARTY = {
    "aiohttp": {"sources", "web", "lab", "daemon"},
    "sqlite3": {"store"},
    "sqlite_utils": {"store"},
    "prometheus_client": {"export"},
    "yaml": {"config", "slo"},
    "jax": {"reference"},
    "jaxlib": {"reference"},
    "opentelemetry": {"export", "instrument"},
    "numpy": {"slo", "reference"},
    "scipy": {"reference"},
    "stim": {"reference"},
    "openqasm3": {"reference"},
    "qiskit": {"reference"},
}
"""Each dependency has its rooms; a library that spreads cannot be replaced."""


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    """The room of a file: the first name below ``qobs``."""
    first = path.relative_to(ROOT / "qobs").parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            if node.module == "qobs":
                yield from ((node.lineno, f"qobs.{name.name}") for name in node.names)
            else:
                yield node.lineno, node.module or ""


def crossings(path: Path) -> Iterator[str]:
    """Imports of ``path`` that its room has no right to."""
    room, name = room_of(path), path.relative_to(ROOT / "qobs").as_posix()
    if room in WIRING:
        allowed_rooms = ROOMS.keys() | WIRING
    else:
        allowed_rooms = {room} | ROOMS.get(room, set()) | {other for file, other in DOORS_TO_SUMS if file == name}
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] != "qobs" or len(parts) == 1 or module == "qobs.__version__":
            continue
        if parts[1] not in allowed_rooms | WORDS:
            yield f"{name}:{line} imports {module}"


def test_every_file_belongs_to_a_known_room() -> None:
    """A new room is a decision: it enters the table, or its files find a place."""
    assert {room_of(path) for path in FILES} <= WORDS | ROOMS.keys() | WIRING


def test_a_room_imports_the_words_and_itself() -> None:
    """Rooms that know each other cannot be changed, tested or understood alone."""
    assert [crossing for path in FILES for crossing in crossings(path)] == []


def test_a_crossing_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: in every form that an import can have."""
    text = "from qobs.store import base\nimport qobs.web.api\nfrom qobs import lab\ndef f():\n    from qobs.daemon import run\n"
    monkeypatch.setitem(globals(), "tree_of", lambda path: ast.parse(text))
    found = [crossing.split()[-1] for crossing in crossings(ROOT / "qobs" / "slo" / "__init__.py")]
    assert sorted(found) == ["qobs.daemon", "qobs.lab", "qobs.store", "qobs.web.api"]


def test_only_the_demo_knows_the_lab() -> None:
    """A daemon in production must not carry emulated clouds."""
    users = {
        path.relative_to(ROOT).as_posix() for path in FILES if any(module.startswith("qobs.lab") for _, module in imports(path))
    }
    assert all(user.startswith(("qobs/lab/", "qobs/demo")) for user in users), users


def test_dependencies_stay_in_their_rooms() -> None:
    """The simulator's jax under reference/ only, SQLite in the store only, and so on."""
    strays = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        for line, module in imports(path)
        if (home := THIRD_PARTY.get(module.split(".")[0])) is not None and room_of(path) not in home
    ]
    assert strays == []


def test_pure_rooms_touch_nothing() -> None:
    """A sum that reads a clock cannot be run again to the same result."""
    touched = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        if room_of(path) in PURE
        for line, module in imports(path)
        if module.split(".")[0] in IMPURE
    ]
    assert touched == []


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every call with a plain name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""


def test_pure_rooms_ask_no_clock_and_open_no_file() -> None:
    """Also not by a method of a type that is allowed."""
    forbidden = {"open", "input", "print", "exec", "eval", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    asked = [
        f"{path}:{line} {name}" for path in FILES if room_of(path) in PURE for line, name in calls(path) if name in forbidden
    ]
    assert asked == []


def test_only_the_command_line_prints() -> None:
    """A daemon's words are log events; printed ones would mix with them."""
    printing = [
        f"{path}:{line}"
        for path in FILES
        if room_of(path) not in {"cli", "demo"}
        for line, name in calls(path)
        if name == "print"
    ]
    assert printing == []


def test_nothing_runs_text_as_code() -> None:
    """Provider strings are hostile: no eval, exec, pickle, unsafe YAML or shell anywhere."""
    forbidden = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "pickle.loads", "pickle.load"}
    assert [f"{path}:{line} {name}" for path in FILES for line, name in calls(path) if name in forbidden] == []
    modules = {"pickle", "shelve", "marshal"}
    assert [f"{path}:{line}" for path in FILES for line, module in imports(path) if module in modules] == []
    shells = [path for path in FILES if "shell=True" in path.read_text(encoding="utf-8")]
    assert shells == []


def test_nobody_else_reads_the_environment() -> None:
    """Settings come from the configuration, so that one page tells all of them."""
    readers = {
        room_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert readers <= {"config", "cli"}


def test_modules_are_named_by_their_subject() -> None:
    """A drawer for everything is where nobody finds anything."""
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [path for path in FILES if path.stem in drawers] == []


def test_modules_stay_small_enough_to_reread() -> None:
    """Even good files grow until nobody rereads them; split at the second idea."""
    long = {
        path.relative_to(ROOT).as_posix(): count
        for path in FILES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 600
    }
    assert long == {}


def test_modules_hold_no_state() -> None:
    """No globals: a mutable value at the top of a module is shared by all tests and all daemons of a process."""
    makers = {"list", "dict", "set", "defaultdict", "deque", "Counter", "OrderedDict", "Lock", "Event"}
    states = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in tree_of(path).body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id in makers
        and not (node.value.args or node.value.keywords)
    ]
    assert states == []
    assert [path for path in FILES for node in ast.walk(tree_of(path)) if isinstance(node, ast.Global)] == []
