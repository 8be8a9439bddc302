"""The worker process, real and planted: what a task may do to it, and what the daemon notices of that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from qobs.daemon import verification_task
from qobs.daemon.verification_task import Answer, Task
from qobs.daemon.workers import LocalWorkers, NoWorkers, Remembering, TaskFailed, WorkerDied
from qobs.model import EPOCH
from qobs.result import Program

PLANTED = """\
import importlib.util, json, os, signal, sys, time
spec = importlib.util.spec_from_file_location("task", {path!r})
task = sys.modules["task"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(task)

def work(content):
    word = content.decode()
    if word == "exit": os._exit(3)
    if word == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang": time.sleep(3600)
    if word == "memory": bytearray(8 << 30)
    if word == "raise": raise ValueError("bad figures")
    if word == "print": print("noise" * 1000, flush=True)
    if word == "environment": return json.dumps(sorted(os.environ)).encode()
    return f"{{word}} by {{os.getpid()}}".encode()

sys.exit(task.run(sys.argv[1:], lambda cache: None, work))
"""


@asynccontextmanager
async def workers(directory: Path, *, deadline: float = 60.0, text: str | None = None) -> AsyncIterator[LocalWorkers]:
    """Workers whose program does what its task says."""
    program = directory / "planted.py"
    program.write_text(PLANTED.format(path=verification_task.__file__) if text is None else text)
    running = LocalWorkers(cache=directory / "cache", deadline_seconds=deadline, memory_bytes=1 << 30, program=program)
    try:
        yield running
    finally:
        await running.close()


def pid_of(answer: bytes) -> int:
    """Who answered."""
    return int(answer.decode().rsplit(" ", 1)[1])


async def test_one_process_answers_all_tasks_and_starts_with_the_first(tmp_path: Path) -> None:
    """Starting the simulator takes seconds: a process for each task, or one that nobody needs, would cost a core."""
    async with workers(tmp_path) as running:
        assert running.pid is None
        answers = await asyncio.gather(*(running.submit(word.encode()) for word in ("one", "two", "three")))
        assert [answer.split()[0] for answer in answers] == [b"one", b"two", b"three"]
        assert {pid_of(answer) for answer in answers} == {running.pid}


@pytest.mark.parametrize(("word", "told"), [("exit", "exit status 3"), ("kill", "SIGKILL")])
async def test_a_worker_that_dies_is_told_of_and_replaced(tmp_path: Path, word: str, told: str) -> None:
    """One job that crashes the simulator must not end the verification of all others."""
    async with workers(tmp_path) as running:
        first = pid_of(await running.submit(b"before"))
        with pytest.raises(WorkerDied, match=told) as death:
            await running.submit(word.encode())
        assert death.value.reason == "killed"
        assert pid_of(await running.submit(b"after")) != first
        assert running.deaths == {"killed": 1}


async def test_a_worker_that_is_killed_from_outside_is_replaced(tmp_path: Path) -> None:
    """The kernel's out-of-memory killer asks nobody."""
    async with workers(tmp_path) as running:
        first = pid_of(await running.submit(b"before"))
        hanging = asyncio.create_task(running.submit(b"hang"))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            await hanging
        assert pid_of(await running.submit(b"after")) != first


async def test_a_task_past_its_deadline_loses_its_worker(tmp_path: Path) -> None:
    """A circuit that takes for ever would hold up every other result."""
    async with workers(tmp_path, deadline=2.0) as running:
        first = pid_of(await running.submit(b"before"))
        with pytest.raises(WorkerDied, match="no answer within 2 s") as death:
            await running.submit(b"hang")
        assert death.value.reason == "deadline"
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert pid_of(await running.submit(b"after")) != first


async def test_a_task_over_its_memory_fails_and_the_worker_lives(tmp_path: Path) -> None:
    """A wide circuit must not push the machine into swap, nor count as a crash."""
    async with workers(tmp_path) as running:
        first = pid_of(await running.submit(b"before"))
        with pytest.raises(TaskFailed, match=r"reference\.max_memory"):
            await running.submit(b"memory")
        assert pid_of(await running.submit(b"after")) == first
        assert running.deaths == {}


async def test_an_error_in_a_task_is_an_answer(tmp_path: Path) -> None:
    """A bug in the simulator concerns one circuit, and says which error it was."""
    async with workers(tmp_path) as running:
        with pytest.raises(TaskFailed, match="ValueError: bad figures"):
            await running.submit(b"raise")
        assert (await running.submit(b"after")).startswith(b"after")


async def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    """A warning on standard output would shift every later answer to another job."""
    async with workers(tmp_path) as running:
        assert (await running.submit(b"print")).startswith(b"print by")
        assert (await running.submit(b"next")).startswith(b"next by")


async def test_no_secret_of_the_environment_reaches_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker reads strangers' circuits; provider tokens are no business of its."""
    monkeypatch.setenv("IBM_TOKEN", "secret")
    async with workers(tmp_path) as running:
        names = set(json.loads(await running.submit(b"environment")))
    assert names >= {"PYTHONPATH", "JAX_PLATFORMS"}
    assert "IBM_TOKEN" not in names


async def test_a_task_that_is_given_up_leaves_no_answer_behind(tmp_path: Path) -> None:
    """The answer to an abandoned task would be taken for the next job's."""
    async with workers(tmp_path) as running:
        await running.submit(b"before")
        abandoned = asyncio.create_task(running.submit(b"hang"))
        await asyncio.sleep(0)
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        assert (await running.submit(b"after")).startswith(b"after by")


async def test_closing_ends_a_worker_whatever_it_does(tmp_path: Path) -> None:
    """A daemon that waits for a simulation when it is told to stop is killed by its supervisor."""
    async with workers(tmp_path) as running:
        pid = pid_of(await running.submit(b"before"))
        hanging = asyncio.create_task(running.submit(b"hang"))
        await asyncio.sleep(0)
        await running.close()
        with pytest.raises((WorkerDied, NoWorkers)):
            await hanging
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(NoWorkers):
            await running.submit(b"late")


@pytest.mark.parametrize("text", ["raise SystemExit(7)", "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\2no')"])
async def test_a_worker_that_cannot_start_is_no_fault_of_the_task(tmp_path: Path, text: str) -> None:
    """With a broken installation every job would be parked for ever, though none did anything."""
    async with workers(tmp_path, text=text) as running:
        with pytest.raises(NoWorkers, match="did not start"):
            await running.submit(b"task")
        assert running.deaths == {}


async def test_an_answer_is_remembered_by_the_content_of_its_task(tmp_path: Path) -> None:
    """The same circuit with the same counts has the same verdict: computing it again costs seconds."""
    async with workers(tmp_path) as running:
        remembering = Remembering(running, most_bytes=64)
        first = await remembering.submit(b"one")
        assert (await remembering.submit(b"one"), remembering.hits) == (first, 1)
        for word in (b"two", b"three", b"four", b"five", b"six"):
            await remembering.submit(word)
        await remembering.submit(b"one")
        assert remembering.hits == 1  # forgotten meanwhile: what is remembered is bounded


BELL = b"""OPENQASM 3; include "stdgates.inc"; bit[2] c; qubit[2] q;
h q[0]; cx q[0], q[1]; c[0] = measure q[0]; c[1] = measure q[1];"""


def bell(counts: dict[str, int], **fields: object) -> bytes:
    """A task: the Bell circuit on a simulator."""
    program = Program(index=0, circuit=BELL, counts=counts, **fields)
    return msgspec.json.encode(Task(program=program, executed_at=EPOCH, calibration=None, alpha=0.01, max_qubits=20))


def compiled(cache: Path) -> list[Path]:
    """Programs that were kept."""
    return list(cache.iterdir())


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled programs, for all workers of this module."""
    return tmp_path_factory.mktemp("compiled")


async def test_the_real_worker_tells_good_from_bad_and_refuses_nonsense(shared_cache: Path) -> None:
    """Good counts, bad ones and nonsense each have their answer: this is what people install it for."""
    running = LocalWorkers(cache=shared_cache, deadline_seconds=300.0, memory_bytes=4 << 30)
    try:

        async def verdict(task: bytes) -> Answer:
            return msgspec.json.decode(await running.submit(task), type=Answer)

        good = await verdict(bell({"00": 493, "11": 507}))
        assert (good.verdict, good.shots) == ("consistent", 1000)
        assert good.shape is not None
        assert good.seconds > 0.0
        assert (await verdict(bell({"00": 600, "01": 100, "11": 300}))).verdict == "worse"
        nonsense = await verdict(bell({"000": 10}))
        assert (nonsense.verdict, nonsense.shape) == ("unverified", good.shape)
        assert "000" in nonsense.reason
        assert (await verdict(bell({"00": 5}, order="sideways"))).verdict == "unverified"
        assert (await verdict(bell({"00": 5}, physical=(1, 1)))).verdict == "unverified"
        broken = msgspec.json.decode(bell({"00": 5}), type=Task)
        broken = msgspec.structs.replace(broken, program=Program(index=0, circuit=b"\xff{]"))
        assert (await verdict(msgspec.json.encode(broken))).verdict == "unverified"
        assert running.deaths == {}
        assert compiled(shared_cache)
    finally:
        await running.close()


def test_the_daemon_imports_no_simulator() -> None:
    """JAX in the daemon's process costs 150 MB and seconds of start-up, and its crashes would be the daemon's."""
    code = "import sys, qobs.daemon, qobs.daemon.verification; print([m for m in ('jax', 'stim', 'scipy') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
