"""What an operator meets when the file is damaged, missing, newer, locked or in the wrong place: nothing is lost silently."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from store_material import SHARD, T0, SmallJudge, histories, make_job, make_page, seconds

from qobs.errors import StoreCorrupt, StoreError, StoreLocked, StoreTooNew
from qobs.store import backup, schema
from qobs.store.lock import lock_path, refuse_network_file_system
from qobs.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


def _filled(path: Path, *, with_backup: bool = True) -> list[str]:
    """A closed store with some history, and its dump."""
    with closing(SqliteStore(path, SmallJudge())) as store:
        store.commit(make_page(*histories(1, 5), at=5000, watermark=seconds(4000)))
        if with_backup:
            store.keep_backup(seconds(5000))
        return list(store.canonical())


def _crashed(path: Path) -> None:
    """Leave the store as a killed process does: with a log, not closed."""
    code = (
        "import os, sys; from pathlib import Path; from store_material import *; from qobs.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]), SmallJudge())\n"
        "store.commit(make_page(make_job('last'), at=6000, watermark=seconds(5000)))\n"
        "os._exit(9)"
    )
    path_of = os.pathsep.join((str(ROOT), str(_material(path))))
    done = subprocess.run([sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": path_of}, check=False)
    assert done.returncode == 9


def _material(path: Path) -> Path:
    folder = path.parent / "importable"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("material.py"), folder / "store_material.py")
    return folder


def _open(path: Path, **options: object) -> SqliteStore:
    return SqliteStore(path, SmallJudge(), now=T0, **options)


def _damage_pages(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for offset in range(4096, size, 4096):
            file.seek(offset)
            file.write(b"\xa5" * 512)


def _cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def _overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"<html>" + b" " * 200)


DAMAGES = {"pages": _damage_pages, "zero-length": _cut_to_nothing, "header": _overwrite_header, "deleted": Path.unlink}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_kept_aside_and_the_newest_backup_restored(tmp_path: Path, damage: str) -> None:
    """A daemon that started empty without a word would report a perfect month."""
    path = tmp_path / "qobs.db"
    dump = _filled(path)
    DAMAGES[damage](path)
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert list(store.canonical()) == dump
        assert store.verify() == ()
        assert store.cursor(SHARD) is not None
    assert recovery.restored_from == backup.backup_path(path, seconds(5000))
    if damage == "deleted":
        assert recovery.moved_to is None
    else:
        assert recovery.moved_to == tmp_path / f"qobs.db.corrupt-{schema.stamp(T0)}"
        assert recovery.moved_to.exists()
    assert "restored from" in str(recovery)
    with closing(_open(path)) as store:
        assert store.recoveries == ()


def test_a_damaged_backup_is_passed_over(tmp_path: Path) -> None:
    """The newest backup may be the one that the dying disk wrote."""
    path = tmp_path / "qobs.db"
    dump = _filled(path)
    bad = backup.backup_path(path, seconds(9000))
    shutil.copyfile(backup.backups(path)[0], bad)
    _damage_pages(bad)
    _damage_pages(path)
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert recovery.rejected == (bad,)
        assert list(store.canonical()) == dump


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_backup_the_new_beginning_is_told(tmp_path: Path, damage: str) -> None:
    """Starting over is right, as providers have it all; starting over in silence is not."""
    path = tmp_path / "qobs.db"
    _filled(path, with_backup=False)
    DAMAGES[damage](path)
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert recovery.restored_from is None
        assert "no backup was restored" in str(recovery)
        assert list(store.jobs()) == []


def test_asked_not_to_recover_it_touches_nothing(tmp_path: Path) -> None:
    """`qobs store verify` must be able to look at a damaged file without changing it."""
    path = tmp_path / "qobs.db"
    _filled(path)
    _damage_pages(path)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="nothing was touched"):
        _open(path, recover=False)
    assert path.read_bytes() == before


def test_a_lost_log_is_told_and_its_cursor_went_with_it(tmp_path: Path) -> None:
    """Without its log SQLite quietly opens an older state: it must be whole, and it must be said."""
    path = tmp_path / "qobs.db"
    dump = _filled(path)
    _crashed(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    with closing(_open(path)) as store:
        (recovery,) = store.recoveries
        assert "write-ahead log is missing" in str(recovery)
        assert list(store.canonical()) == dump
        cursor = store.cursor(SHARD)
        assert cursor is not None
        assert cursor.watermark == seconds(4000)
        assert store.verify() == ()


def test_r1_a_crash_with_its_log_loses_nothing(tmp_path: Path) -> None:
    """The daily case: killed, started again, all there, nothing to mend."""
    path = tmp_path / "qobs.db"
    _filled(path)
    _crashed(path)
    with closing(_open(path)) as store:
        assert store.recoveries == ()
        assert store.job(make_job("last").key) is not None
        assert store.cursor(SHARD).watermark == seconds(5000)


def test_a_second_daemon_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    """Two daemons on one file would count everything twice."""
    path = tmp_path / "qobs.db"
    with closing(_open(path)), pytest.raises(StoreLocked, match=f"already in use by process {os.getpid()}"):
        _open(path)
    _open(path).close()


def test_a_lock_left_by_a_dead_process_does_not_hold(tmp_path: Path) -> None:
    """A stale pid file must not keep the daemon down after a crash."""
    path = tmp_path / "qobs.db"
    lock_path(path).write_text("pid=1\nstate=closed\n")
    with closing(_open(path)) as store:
        assert "missing" in str(store.recoveries[0]), "somebody used a store here before: its absence is told"


def test_a_database_locked_by_others_is_an_error_and_then_works_again(tmp_path: Path) -> None:
    """An operator's open sqlite3 shell must delay a page, not lose it."""
    path = tmp_path / "qobs.db"
    with closing(_open(path, busy_seconds=0.05)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked, match="another process holds a lock"):
                store.commit(make_page(make_job(), at=1))
            shell.execute("ROLLBACK")
        assert store.commit(make_page(make_job(), at=1)).ingested == 1


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    """An older qobs that wrote into a newer file would ruin it."""
    path = tmp_path / "qobs.db"
    _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    with pytest.raises(StoreTooNew, match="written by a newer qobs"):
        _open(path)
    assert not list(tmp_path.glob("*.corrupt-*"))


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A wrong path in the configuration must not cost the user another program's data."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="this is not a qobs store"):
        _open(path)
    text = tmp_path / "qobs.yaml"
    text.write_text("listen: 127.0.0.1:9954\n")
    with pytest.raises(StoreError, match="not a SQLite database"):
        _open(text)
    assert text.read_text().startswith("listen")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The message must say what to create."""
    with pytest.raises(StoreError, match=r"nowhere: no such directory"):
        _open(tmp_path / "nowhere" / "qobs.db")


def test_a_read_only_directory_is_named() -> None:
    """The daemon of an unprivileged user meets this first."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o555)
        code = (
            "import os, sys; from pathlib import Path; from qobs.store.sqlite import SqliteStore\n"
            "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "SqliteStore(Path(sys.argv[1]) / 'qobs.db', None)"
        )
        run = [sys.executable, "-c", code, directory]
        done = subprocess.run(run, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
        Path(directory).chmod(0o755)
    assert f"StoreFull: {directory}: Permission denied: the store needs a writable directory" in done.stderr


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """SQLite's locks do not hold over a network: two writers would corrupt the file."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(StoreError, match="lies on a nfs4 file system"):
        refuse_network_file_system(tmp_path / "qobs.db", mounts)
    mounts.write_text("/dev/vda / ext4 rw 0 0\n")
    refuse_network_file_system(tmp_path / "qobs.db", mounts)


def test_retention_shorter_than_the_windows_is_refused(tmp_path: Path) -> None:
    """Windows of 90 days need 91 days of rows."""
    with pytest.raises(StoreError, match="at least 91 allowed"):
        _open(tmp_path / "qobs.db", retention=timedelta(days=30))


def test_a_migration_is_one_transaction_with_a_backup_before(tmp_path: Path) -> None:
    """A migration that fails halfway must leave the old schema and all rows."""
    path = tmp_path / "qobs.db"
    _filled(path)
    now, next_ = schema.SCHEMA_VERSION, schema.SCHEMA_VERSION + 1
    good = (*schema.MIGRATIONS, (f"{next_:03d}_good", ("CREATE TABLE extra (x)",)))
    bad = (*schema.MIGRATIONS, (f"{next_:03d}_bad", ("CREATE TABLE extra (x)", "INSERT INTO nowhere VALUES (1)")))
    kept: list[int] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            schema.migrate(connection, before=kept.append, steps=bad)
        assert schema.schema_version(connection) == now
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
        assert schema.migrate(connection, before=kept.append, steps=good) == 1
        assert schema.schema_version(connection) == next_
        assert schema.migrate(connection, before=kept.append, steps=good) == 0
    assert kept == [now, now]


def test_only_the_newest_backups_stay(tmp_path: Path) -> None:
    """Hourly backups must not fill the disk."""
    path = tmp_path / "qobs.db"
    with closing(_open(path)) as store:
        made = [store.keep_backup(seconds(at), keep=2) for at in (1, 2, 3)]
    assert backup.backups(path) == (made[2], made[1])


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """A late worker thread must get an error, not reopen the file behind the next daemon's back."""
    store = _open(tmp_path / "qobs.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.commit(make_page(make_job(), at=1))
    with pytest.raises(StoreError, match="closed"):
        store.info()
    with lock_path(tmp_path / "qobs.db").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_sqlite_utils_is_loaded_only_to_migrate(tmp_path: Path) -> None:
    """The daily start must not pay for the schema tools."""
    path = tmp_path / "qobs.db"
    _open(path).close()
    code = (
        "import sys; from pathlib import Path; from store_material import SmallJudge\n"
        "from qobs.store.sqlite import SqliteStore\n"
        "SqliteStore(Path(sys.argv[1]), SmallJudge()).close(); sys.exit('sqlite_utils' in sys.modules)"
    )
    path_of = os.pathsep.join((str(ROOT), str(_material(path))))
    run = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(run, env={**os.environ, "PYTHONPATH": path_of}, check=False).returncode == 0


def test_opening_tells_which_sqlite_it_runs_on(tmp_path: Path, caplog) -> None:
    """Whoever reads a bug report needs the version, and must not be alarmed by a fault that one writer cannot meet."""
    with caplog.at_level("INFO", logger="qobs.store"):
        SqliteStore(tmp_path / "q.db", SmallJudge()).close()
    (told,) = [record for record in caplog.records if record.name == "qobs.store"]
    assert (told.levelname, f"SQLite {sqlite3.sqlite_version}" in told.message) == ("INFO", True)
