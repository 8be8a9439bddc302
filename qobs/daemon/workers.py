"""Who computes: one interface, tasks that are pure and known by their content, and the one worker process of this machine.

Simulating is for another process: the daemon's own must poll and answer in time, stays small, and lives on when a task ends its
worker. The process is started when the first task comes, with no environment of the daemon's, so that no credential reaches it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from qobs.daemon import verification_task
from qobs.daemon.verification_task import MAX_FRAME, READY
from qobs.errors import QobsError

START_SECONDS = 300.0
"""Loading the simulator takes seconds, on a machine that is busy much more."""

STOP_SECONDS = 5.0
LAST_SECONDS = 2.0
"""How long a worker whose pipe has ended may take to end itself."""

REMEMBERED_BYTES = 4 << 20


class WorkerDied(QobsError):
    """A task ended its worker: ``reason`` is a bounded word, ``deadline`` or ``killed``."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep the bounded reason beside the words for people."""
        super().__init__(message)
        self.reason = reason


class TaskFailed(QobsError):
    """The worker lives on, but has no answer to this task and never will have: out of memory, or a bug of ours."""


class NoWorkers(QobsError):
    """No worker can be had now: no fault of the task, which is to be tried again later."""


class Workers(Protocol):
    """Something that answers tasks."""

    async def submit(self, task: bytes) -> bytes:
        """The answer to one task: a pure function of its bytes.

        Raises:
            WorkerDied: the task ended its worker; given again, it may do so again.
            TaskFailed: there is no answer to it.
            NoWorkers: nobody can answer now.
        """
        ...

    @property
    def deaths(self) -> Mapping[str, int]:
        """Workers that a task ended since the start, by reason."""
        ...

    async def close(self) -> None:
        """End all workers, whatever they do, in bounded time."""
        ...


class LocalWorkers:
    """One worker process on this machine, one task at a time."""

    def __init__(
        self, *, cache: Path, deadline_seconds: float, memory_bytes: int, program: Path = Path(verification_task.__file__)
    ) -> None:
        """Nothing is started before the first task.

        Args:
            cache: Directory for compiled programs; made where it is missing, for this user alone: what lies there is executed.
            deadline_seconds: After this a task's worker is killed.
            memory_bytes: Address space of the worker; about 1.5 GiB of it are taken by libraries before any task.
            program: The worker's program.
        """
        self._cache, self._program = cache, program
        self._deadline_seconds, self._memory_bytes = deadline_seconds, memory_bytes
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._closed = False
        self._deaths: Counter[str] = Counter()

    @property
    def deaths(self) -> Mapping[str, int]:
        """Workers that a task ended since the start, by reason."""
        return dict(self._deaths)

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return None if self._process is None else self._process.pid

    async def submit(self, task: bytes) -> bytes:
        """The answer to one task, in its turn. As :meth:`Workers.submit`."""
        async with self._turn:
            process = await self._running()
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    answer = await _exchange(process, task)
            except TimeoutError:
                await self._end()
                raise self._died("deadline", f"no answer within {self._deadline_seconds:g} s") from None
            except (OSError, EOFError):
                raise self._died("killed", f"the worker ended: {_ended(await self._end(at_once=False))}") from None
            except BaseException:
                # Cancelled in the middle of a frame: what the worker says next would be taken for another task's answer.
                await self._end()
                raise
        return _answer(answer)

    async def close(self) -> None:
        """End the worker, whatever it does, in bounded time; tasks that still come are refused."""
        self._closed = True
        self._kill()
        await self._end()

    async def _running(self) -> Process:
        """The worker, started if there is none."""
        if self._closed:
            raise NoWorkers("the workers are closed")
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            process = self._process = await self._start()
        except OSError as error:
            raise NoWorkers(f"no worker can be started: {error}") from error
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = await _receive(process)
        except (TimeoutError, OSError, EOFError):
            raise NoWorkers(f"the worker did not start: {_ended(await self._end(at_once=False))}") from None
        except BaseException:
            await self._end()
            raise
        if ready != READY:
            await self._end()
            raise NoWorkers("the worker did not start: it is not one of ours")
        return process

    async def _start(self) -> Process:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(self._program),
            str(self._memory_bytes),
            str(self._deadline_seconds),
            str(self._cache),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
            env={
                "PATH": os.defpath,
                "HOME": str(self._cache),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                # An accelerator's driver maps more address space than any cap; its memory is not ours to take.
                "JAX_PLATFORMS": "cpu",
            },
        )

    def _died(self, reason: str, message: str) -> WorkerDied:
        self._deaths[reason] += 1
        return WorkerDied(reason, message)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _end(self, *, at_once: bool = True) -> int | None:
        """Kill the worker and wait for its end; its exit status, None where it cannot be had.

        ``at_once`` False: it seems to have ended by itself. To kill it then would take its exit status from who waits for it.
        """
        process = self._process
        if process is None:
            return None
        if at_once or not await _ends(process, LAST_SECONDS):
            self._kill()
            await _ends(process, STOP_SECONDS)
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        return process.returncode


class Remembering:
    """Workers whose newest answers are remembered by the content of their tasks, and who work on one task once at a time."""

    def __init__(self, workers: Workers, *, most_bytes: int = REMEMBERED_BYTES) -> None:
        """``most_bytes`` bounds the answers that are kept."""
        self._workers, self._most_bytes = workers, most_bytes
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        """Tasks that were answered from memory."""

    @property
    def deaths(self) -> Mapping[str, int]:
        """Workers that a task ended since the start, by reason."""
        return self._workers.deaths

    async def submit(self, task: bytes) -> bytes:
        """The answer to one task. As :meth:`Workers.submit`."""
        key = blake2b(task, digest_size=16).digest()
        known = self._known.get(key)
        if known is not None:
            self.hits += 1
            self._known.move_to_end(key)
            return known
        answer = await self._workers.submit(task)
        self._remember(key, answer)
        return answer

    def _remember(self, key: bytes, answer: bytes) -> None:
        before = self._known.pop(key, b"")
        self._known[key] = answer
        self._bytes += len(answer) - len(before)
        while self._bytes > self._most_bytes:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= len(oldest)

    async def close(self) -> None:
        """End all workers."""
        await self._workers.close()


async def _ends(process: Process, seconds: float) -> bool:
    """Whether it ended within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def _exchange(process: Process, task: bytes) -> bytes:
    assert process.stdin is not None
    process.stdin.write(len(task).to_bytes(4, "big") + task)
    await process.stdin.drain()
    return await _receive(process)


async def _receive(process: Process) -> bytes:
    """One frame.

    Raises:
        EOFError: the pipe ended, or says nothing sensible.
    """
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(4), "big")
    if length > MAX_FRAME:
        raise EOFError(f"a frame of {length} bytes")
    return await process.stdout.readexactly(length)


def _answer(frame: bytes) -> bytes:
    kind, content = frame[:1], frame[1:]
    if kind == b"+":
        return content
    if kind == b"m":
        raise TaskFailed("it needs more memory than a worker may have (reference.max_memory)")
    raise TaskFailed(f"the simulator failed: {content.decode('utf-8', 'replace')}")


def _ended(status: int | None) -> str:
    """How a process ended, for people."""
    if status is None:
        return "it cannot be told how"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
