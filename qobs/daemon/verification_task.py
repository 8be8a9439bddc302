"""What a worker does, from bytes to bytes, and the program of a worker process: run by its path, it loads nothing of the daemon.

A task holds everything that its answer depends on: equal tasks have equal answers, save for the time that they took. Frames on
the pipes are a length of four bytes, big-endian, and the content. The worker says :data:`READY` once its libraries are loaded.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from qobs.model import Calibration
from qobs.result import Program

if TYPE_CHECKING:
    from qobs.reference.circuit import Circuit
    from qobs.reference.counts import Order
    from qobs.reference.verdict import Judged

READY = b"ready"
MAX_FRAME = 256 << 20
NICE = 10
"""A worker yields to the daemon, which must poll and answer in time."""

UNVERIFIED = "unverified"
MOST_DEGRADED = 20
"""Gaps of a calibration that are named."""


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One circuit with its counts and all that its verdict rests on.

    ``calibration`` None: compared with the ideal distribution, as of a simulator. ``margins`` are those of the backend by the
    circuit's shape; a circuit whose shape is in ``skip`` is not simulated.
    """

    program: Program
    executed_at: datetime
    calibration: Calibration | None
    margins: Mapping[str, float] = {}
    skip: tuple[str, ...] = ()
    alpha: float
    max_qubits: int


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found out; fields as in :class:`qobs.result.Verification`. ``skipped``: the shape was one to leave out."""

    verdict: str
    reason: str
    method: str = "none"
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
    seconds: float = 0.0
    degraded: tuple[str, ...] = ()
    skipped: bool = False


def perform(task: bytes) -> bytes:
    """The answer to one encoded task. A circuit, counts or figures that cannot be used are an answer, not an error.

    Raises:
        MemoryError: there is not enough of it.
    """
    began = time.perf_counter()
    seed = int.from_bytes(blake2b(task, digest_size=3).digest(), "big")
    answer = _answered(msgspec.json.decode(task, type=Task), seed)
    return msgspec.json.encode(msgspec.structs.replace(answer, seconds=time.perf_counter() - began))


def _answered(task: Task, seed: int) -> Answer:
    from qobs.errors import CircuitError
    from qobs.reference.hashing import structure_hash
    from qobs.reference.parse import parse

    program = task.program
    shape: str | None = None
    try:
        circuit = parse(program.circuit, kind=program.kind)
        if program.physical is not None:
            circuit = _placed(circuit, program.physical)
        shape = structure_hash(circuit)
        if shape in task.skip:
            return Answer(
                verdict=UNVERIFIED, reason="its shape has a verdict in this calibration epoch", shape=shape, skipped=True
            )
        return _compared(task, circuit, shape, seed)
    except CircuitError as error:
        return Answer(verdict=UNVERIFIED, reason=str(error), shape=shape)
    except RuntimeError as error:  # how XLA says it
        if "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower():
            raise MemoryError(str(error)[:300]) from error
        raise


def _placed(circuit: Circuit, physical: tuple[int, ...]) -> Circuit:
    from qobs.errors import CircuitError

    if len(physical) != circuit.width or len(set(physical)) != circuit.width:
        raise CircuitError(f"{len(physical)} hardware qubits of a circuit of {circuit.width}", "each has one of its own")
    return replace(circuit, physical=physical)


def _compared(task: Task, circuit: Circuit, shape: str, seed: int) -> Answer:
    from qobs.reference.counts import read_counts
    from qobs.reference.predict import Effort
    from qobs.reference.predict_verify import verify

    program = task.program
    shares = program.probabilities
    counts = read_counts(
        program.counts if shares is None else shares,
        circuit,
        order=_order(program.order),
        shots=None if shares is None else program.shots,
    )
    judged = verify(
        circuit,
        counts,
        task.calibration,
        margin=task.margins.get(shape, 0.0),
        alpha=task.alpha,
        effort=Effort(max_qubits=task.max_qubits, seed=seed),
        executed_at=task.executed_at,
    )
    return _told(judged, shape)


def _order(told: str | None) -> Order:
    from qobs.errors import CircuitError
    from qobs.reference.counts import Order

    orders = {order.value: order for order in Order}
    if told is None:
        return Order.CLBITS_RIGHT
    if told not in orders:
        raise CircuitError(f"the order {told[:60]!r} of the counts", f"one of {', '.join(orders)}")
    return orders[told]


def _told(judged: Judged, shape: str) -> Answer:
    told = judged.distance
    return Answer(
        verdict=judged.verdict.value,
        reason=judged.reason,
        method=judged.method,
        shots=judged.shots,
        p_value=judged.p_value,
        tvd=None if told is None else told.tvd,
        floor=None if told is None else told.floor,
        excess=None if told is None else told.excess,
        effect=judged.effect,
        margin=judged.margin,
        z=judged.z,
        xeb=judged.xeb,
        shape=shape,
        degraded=judged.degraded[:MOST_DEGRADED],
    )


# ------------------------------------------------------------------------------------------- the worker process


def prepare(cache: str) -> None:
    """Load what every task needs, and keep compiled programs in ``cache``: the first task does not wait for it."""
    import qobs.reference.parse
    import qobs.reference.predict_verify  # noqa: F401 - loaded for what comes
    from qobs.reference.engine import keep_programs

    keep_programs(cache)


def serve(work: Callable[[bytes], bytes], source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the pipe ends. An answer begins with one byte: ``+`` done, ``m`` too little memory, ``!`` failed."""
    write_frame(sink, READY)
    while (task := read_frame(source)) is not None:
        try:
            answer = b"+" + work(task)
        except MemoryError:
            answer = b"m"
        except Exception as error:  # whatever it was, the next task may be better
            answer = b"!" + f"{type(error).__name__}: {error}"[:500].encode("utf-8", "backslashreplace")
        write_frame(sink, answer)


def read_frame(source: BinaryIO) -> bytes | None:
    """The next frame; None at the end of the pipe, also where it ends within a frame."""
    head = source.read(4)
    if len(head) < 4:
        return None
    length = int.from_bytes(head, "big")
    content = source.read(length)
    return content if len(content) == length else None


def write_frame(sink: BinaryIO, content: bytes) -> None:
    """One frame, sent at once."""
    sink.write(len(content).to_bytes(4, "big") + content)
    sink.flush()


def confine(memory_bytes: int) -> None:
    """Cap this process's address space, leave no core files, yield to others, and leave Ctrl-C to the daemon."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(arguments: list[str], prepare: Callable[[str], None], work: Callable[[bytes], bytes]) -> int:
    """A worker's life. ``arguments`` are MEMORY_BYTES, TASK_SECONDS and CACHE; it ends with standard input."""
    memory_bytes, task_seconds, cache = int(arguments[0]), ceil(float(arguments[1])), arguments[2]
    # Libraries that print would break the frames: what they say goes where errors go.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    confine(memory_bytes)
    prepare(cache)

    def in_time(task: bytes) -> bytes:
        # The parent kills a worker that is late; the alarm is for one whose parent is gone.
        signal.alarm(2 * task_seconds)
        try:
            return work(task)
        finally:
            signal.alarm(0)

    serve(in_time, source, sink)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], prepare, perform))
