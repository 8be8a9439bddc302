"""Maintenance windows, their audit, and states: what no provider can tell again must survive, and be accounted for."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from store_material import T0, SmallJudge, histories, make_page, seconds

from qobs.errors import StoreError
from qobs.exclusion import Exclusion
from qobs.store import backup, exclusions
from qobs.store.base import Store
from qobs.store.connection import connect_reader
from qobs.store.readonly import ReadOnlyStore
from qobs.store.sqlite import SqliteStore

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def window(id_: str = "w1", begins: float = 0, ends: float = 3600, **fields: object) -> Exclusion:
    """A maintenance window of one backend."""
    values = {"reason": "upgrade", "scope": {"backend": ("fez",)}, "author": "ops", "created_at": seconds(5), **fields}
    return Exclusion(id=id_, from_at=seconds(begins), to_at=seconds(ends), **values)


def told(store: Store) -> list[tuple[str, str, str]]:
    """The audit without its times: who did what to which window."""
    return [(line.id, line.action, line.author) for line in store.exclusion_log()]


def test_a_window_reads_back_as_it_was_given(store: Store) -> None:
    """An event is excluded by these very times and labels."""
    given_ = window(scope={"slo": ("b", "a"), "backend": ("fez",)}, reason="Kühlung; 冷却")
    assert store.put_exclusion(given_, at=seconds(9), author="ops") is True
    assert store.exclusions() == (given_,)
    (line,) = store.exclusion_log()
    assert (line.at, line.action, line.author) == (seconds(9), "added", "ops")
    assert line.detail == ("2026-03-01T12:00:00+00:00 to 2026-03-01T13:00:00+00:00, scope backend=fez, slo=a|b: Kühlung; 冷却")


def test_who_made_it_and_when_is_filled_in(store: Store) -> None:
    """A window that nobody made cannot be asked about."""
    store.put_exclusion(window(author="", created_at=None), at=seconds(9), author="deploy-bot")
    (kept,) = store.exclusions()
    assert (kept.author, kept.created_at) == ("deploy-bot", seconds(9))


def test_the_same_window_again_writes_nothing(store: Store) -> None:
    """A configuration that is loaded every day would fill the audit with noise."""
    store.put_exclusion(window(scope={"backend": ("a", "b"), "team": ("x",)}), at=seconds(9), author="ops")
    same = window(scope={"team": ("x",), "backend": ("b", "a")}, author="somebody else", created_at=seconds(77))
    elsewhere = timezone(timedelta(hours=2))
    same = replace(same, from_at=same.from_at.astimezone(elsewhere))
    assert store.put_exclusion(same, at=seconds(10), author="other") is False
    assert told(store) == [("w1", "added", "ops")]
    assert store.exclusions()[0].author == "ops"


def test_a_changed_window_tells_the_old_and_the_new(store: Store) -> None:
    """Moving a window after the fact must be visible: it changes what the error budget says of the past."""
    store.put_exclusion(window(), at=seconds(9), author="ops")
    changed = window(ends=7200, reason="longer", scope={"backend": ("fez", "kyiv")}, created_at=None)
    assert store.put_exclusion(changed, at=seconds(10), author="night shift") is True
    (kept,) = store.exclusions()
    assert (kept.to_at, kept.reason, kept.created_at) == (seconds(7200), "longer", seconds(5))
    assert store.exclusion_log()[-1].action == "changed"
    assert store.exclusion_log()[-1].detail == (
        "to_at: 2026-03-01T13:00:00+00:00 → 2026-03-01T14:00:00+00:00; reason: 'upgrade' → 'longer'; "
        "scope: backend=fez → backend=fez|kyiv"
    )


def test_a_value_with_a_separator_in_it_is_another_scope(store: Store) -> None:
    """Two scopes that are spelled alike must not pass for the same."""
    store.put_exclusion(window(scope={"team": ("a", "b")}), at=seconds(9), author="ops")
    assert store.put_exclusion(window(scope={"team": ("a|b",)}), at=seconds(9), author="ops") is True
    assert store.exclusions()[0].scope == {"team": ("a|b",)}


def test_a_withdrawn_window_is_out_of_force_on_record_and_can_be_restored(store: Store) -> None:
    """A window that was wrong must give the budget back, and a withdrawal that was wrong must be reversible."""
    store.put_exclusion(window(), at=seconds(9), author="ops")
    assert store.withdraw_exclusion("w1", at=seconds(20), author="lead", detail="not needed") is True
    assert store.exclusions() == ()
    (kept,) = store.exclusions(withdrawn=True)
    assert kept == window(withdrawn_at=seconds(20))
    assert store.withdraw_exclusion("w1", at=seconds(21), author="lead") is False
    assert store.withdraw_exclusion("unknown", at=seconds(21), author="lead") is False
    assert store.put_exclusion(window(), at=seconds(30), author="ops") is True
    assert store.exclusions() == (window(),)
    assert told(store) == [("w1", "added", "ops"), ("w1", "withdrawn", "lead"), ("w1", "restored", "ops")]
    assert [line.detail for line in store.exclusion_log()][1:] == ["not needed", ""]


def test_windows_are_told_by_the_time_they_begin(store: Store) -> None:
    """People look for the next one, not for the one that was typed last."""
    for id_, begins in (("late", 500), ("early", 100), ("b", 300), ("a", 300)):
        store.put_exclusion(window(id_, begins), at=seconds(1), author="ops")
    assert [one.id for one in store.exclusions()] == ["early", "a", "b", "late"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (window(""), "exclusion: id: '' found, a name that is not empty allowed"),
        (window(ends=0), r"exclusion 'w1': from_at: 2026-03-01T12:00:00\+00:00 found, a time before to_at \(2026-03-01T12:00"),
        (window(begins=10, ends=5), "from_at: 2026-03-01T12:00:10"),
        (window(reason="\ud800"), r"exclusion: 'reason': '\\ud800' found, Unicode text allowed"),
        (window(scope={"team": ("\ud800",)}), r"exclusion: 'scope.team'"),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_field(store: Store, wrong: Exclusion, message: str) -> None:
    """A window that ends before it begins excludes nothing, and its author believes that it does."""
    with pytest.raises(StoreError, match=message):
        store.put_exclusion(wrong, at=seconds(9), author="ops")
    assert store.exclusions(withdrawn=True) == store.exclusion_log() == ()
    assert store.put_exclusion(window(), at=seconds(9), author="ops"), "the store goes on"


def test_the_audit_can_only_grow(store: Store, tmp_path: Path) -> None:
    """An audit that can be edited with a shell proves nothing."""
    store.put_exclusion(window(), at=seconds(9), author="ops")
    with closing(sqlite3.connect(tmp_path / "qobs.db")) as other:
        for statement in ("UPDATE exclusion_log SET author = 'nobody'", "DELETE FROM exclusion_log"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                other.execute(statement)
        other.execute("UPDATE exclusions SET to_at = to_at + 1000000")
        other.commit()
    assert any("by its log" in line for line in store.verify())


_ACTIONS = st.tuples(
    st.sampled_from(["put", "put", "withdraw"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 3),
    st.sampled_from([("fez",), ("kyiv", "fez"), ()]),
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(_ACTIONS, max_size=14), st.integers(0, 14))
def test_the_log_alone_makes_the_table_whatever_was_done(done: list[tuple[str, str, int, tuple[str, ...]]], reopen: int) -> None:
    """An audit with a gap cannot explain why an error budget changed."""
    plain: dict[str, tuple[int, frozenset[str], bool]] = {}
    lines = 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        path = Path(directory) / "q.db"
        store = SqliteStore(path, SmallJudge())
        for number, (action, id_, length, backends) in enumerate(done):
            if number == reopen:
                store.close()
                store = SqliteStore(path, SmallJudge())
            known = plain.get(id_)
            if action == "put":
                wanted = (length, frozenset(backends), True)
                exclusion = window(id_, ends=60 + length, scope={"backend": backends})
                changed = store.put_exclusion(exclusion, at=seconds(number), author="ops")
                plain[id_] = wanted
                assert changed is (known != wanted)
            else:
                changed = store.withdraw_exclusion(id_, at=seconds(number), author="ops")
                assert changed is (known is not None and known[2])
                if known is not None:
                    plain[id_] = (*known[:2], False)
            lines += changed
        found = {one.id: one for one in store.exclusions(withdrawn=True)}
        assert {
            id_: (int((one.to_at - T0).total_seconds()) - 60, frozenset(one.scope["backend"]), one.withdrawn_at is None)
            for id_, one in found.items()
        } == plain
        assert len(store.exclusion_log()) == lines
        with closing(connect_reader(path)) as connection:
            replayed = {line.change.id: line.content for line in exclusions.lines(connection)}
        assert replayed == found
        assert store.verify() == ()
        store.close()


# --- states -----------------------------------------------------------------------------------------------------------


def test_states_survive_a_restart_and_only_named_ones_change(open_store: Callable[..., Store]) -> None:
    """An alert that forgets that it fires would page again at every restart."""
    first = open_store()
    first.keep_states({"a": b"\x00\xff", "b": b"", "c": b"3"})
    first.put_exclusion(window(), at=seconds(9), author="ops")
    first.keep_states({"a": b"new", "c": None, "unknown": None})
    first.close()
    second = open_store()
    assert second.states() == {"a": b"new", "b": b""}
    assert second.exclusions() == (window(),)
    with closing(ReadOnlyStore(Path(second.info().location), None)) as looked_at:
        assert (looked_at.states(), looked_at.exclusions()) == (second.states(), second.exclusions())
        assert looked_at.exclusion_log() == second.exclusion_log()


def test_pruning_keeps_windows_audit_and_states(store: Store) -> None:
    """The audit of years ago is what a review asks for."""
    store.put_exclusion(window(), at=seconds(9), author="ops")
    store.keep_states({"a": b"1"})
    store.prune(T0 + timedelta(days=5000))
    assert (store.exclusions(), store.states()) == ((window(),), {"a": b"1"})
    assert len(store.exclusion_log()) == 1


# --- a damaged file ---------------------------------------------------------------------------------------------------


def _filled(path: Path, *, with_backup: bool = True) -> None:
    with closing(SqliteStore(path, SmallJudge())) as store:
        store.put_exclusion(window("old"), at=seconds(9), author="ops")
        store.keep_states({"alert": b"quiet", "gone": b"1"})
        store.commit(make_page(*histories(1, 40), at=5000, watermark=seconds(4000)))
        if with_backup:
            store.keep_backup(seconds(5000))
        store.withdraw_exclusion("old", at=seconds(5100), author="ops")
        store.put_exclusion(window("new"), at=seconds(5200), author="ops")
        store.keep_states({"alert": b"firing"})


def _damage_jobs(path: Path) -> None:
    """Spoil the root page of the jobs: what a bad sector does."""
    with closing(sqlite3.connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'jobs'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 512)


def _open(path: Path) -> SqliteStore:
    return SqliteStore(path, SmallJudge(), now=datetime.fromisoformat("2026-04-01T00:00Z"))


@pytest.mark.parametrize("with_backup", [True, False])
def test_windows_audit_and_states_are_carried_over_from_a_damaged_file(tmp_path: Path, *, with_backup: bool) -> None:
    """Jobs are fetched again, but no provider knows when maintenance was, or which alerts fire."""
    path = tmp_path / "qobs.db"
    _filled(path, with_backup=with_backup)
    _damage_jobs(path)
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert told(store) == [("old", "added", "ops"), ("old", "withdrawn", "ops"), ("new", "added", "ops")]
        assert [one.id for one in store.exclusions()] == ["new"]
        assert store.exclusions(withdrawn=True)[1] == window("old", withdrawn_at=seconds(5100))
        assert store.states() == {"alert": b"firing", "gone": b"1"}
        assert store.verify() == ()
    added = 2 if with_backup else 3
    assert f"{added} exclusion changes carried over, 2 states carried over from the old file" in str(recovery)


def test_what_cannot_be_read_is_that_of_the_backup_and_told(tmp_path: Path) -> None:
    """A recovery that claims to have saved what it has not would hide a window that is missing."""
    path = tmp_path / "qobs.db"
    _filled(path)
    with path.open("r+b") as file:
        for offset in range(4096, file.seek(0, os.SEEK_END), 4096):
            file.seek(offset)
            file.write(b"\xa5" * 512)
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert [one.id for one in store.exclusions()] == ["old"]
        assert store.states() == {"alert": b"quiet", "gone": b"1"}
    assert recovery.rescued == (None, None)
    assert "no exclusion changes could be read, no states could be read" in str(recovery)


def test_a_log_that_does_not_continue_the_backups_is_not_believed(tmp_path: Path) -> None:
    """Mixing two histories would make an audit of neither."""
    path = tmp_path / "qobs.db"
    _filled(path)
    (good,) = backup.backups(path)
    good.unlink()
    with closing(SqliteStore(tmp_path / "other.db", SmallJudge())) as other:
        other.put_exclusion(window("other"), at=seconds(1), author="somebody")
        other.backup(good)
    _damage_jobs(path)
    with closing(_open(path)) as store:
        assert told(store) == [("other", "added", "somebody")]
        assert store.recoveries[0].rescued == (None, 2)
