"""Admission by bytes between fetch and commit."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from random import Random

import pytest

from qobs.sources import limits as module
from qobs.sources.limits import ByteGate, Limits


async def settle():
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Holder:
    """A task that holds the gate until told to leave."""

    def __init__(self, gate, size):
        self.inside = False
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(gate, size))

    async def _run(self, gate, size):
        async with gate.hold(size):
            self.inside = True
            await self.leave.wait()
        self.inside = False


async def test_who_fits_enters_and_who_does_not_waits():
    """Full means waiting: the provider is the buffer, nothing is dropped."""
    gate = ByteGate(100)
    first, second, third = Holder(gate, 60), Holder(gate, 40), Holder(gate, 1)
    await settle()
    assert [first.inside, second.inside, third.inside] == [True, True, False]
    assert (gate.bytes, gate.capacity, gate.waiting) == (100, 100, 1)
    second.leave.set()
    await settle()
    assert (third.inside, gate.bytes) == (True, 61)
    for holder in (first, third):
        holder.leave.set()
        await holder.task
    assert gate.bytes == 0


async def test_something_larger_than_the_gate_passes_alone():
    """One page at the body cap must not deadlock a small gate."""
    gate = ByteGate(100)
    small, large, after = Holder(gate, 10), Holder(gate, 500), Holder(gate, 10)
    await settle()
    assert [small.inside, large.inside, after.inside] == [True, False, False]
    small.leave.set()
    await settle()
    assert [large.inside, after.inside, gate.bytes] == [True, False, 500]
    large.leave.set()
    await settle()
    assert after.inside
    after.leave.set()
    await after.task


async def test_a_large_one_is_not_overtaken_for_ever():
    """Small pages of a busy source must not starve another's large one."""
    gate = ByteGate(100)
    first, large, small = Holder(gate, 50), Holder(gate, 80), Holder(gate, 10)
    await settle()
    assert [large.inside, small.inside] == [False, False]
    first.leave.set()
    await settle()
    assert [large.inside, small.inside] == [True, True]
    for holder in (large, small):
        holder.leave.set()
        await holder.task


async def test_who_is_cancelled_while_waiting_blocks_nobody():
    """A poll cancelled at shutdown or reload must not close the gate."""
    gate = ByteGate(100)
    first, large, small = Holder(gate, 50), Holder(gate, 80), Holder(gate, 50)
    await settle()
    large.task.cancel()
    await settle()
    assert [small.inside, gate.bytes, gate.waiting] == [True, 100, 0]
    for holder in (first, small):
        holder.leave.set()
        await holder.task
    assert gate.bytes == 0


async def test_who_is_cancelled_in_the_moment_of_entering_gives_its_bytes_back():
    """Bytes lost to a race would shrink the gate until nothing passes."""
    gate = ByteGate(100)
    first, second, third = Holder(gate, 100), Holder(gate, 100), Holder(gate, 100)
    await settle()
    first.leave.set()
    await first.task  # the second's turn has come, but it has not run yet
    second.task.cancel()
    await settle()
    assert (third.inside, gate.bytes) == (True, 100)
    third.leave.set()
    await third.task
    assert gate.bytes == 0


async def test_an_error_inside_gives_the_bytes_back():
    """A page that cannot be applied still leaves the gate."""
    gate = ByteGate(10)
    with pytest.raises(RuntimeError):
        async with gate.hold(10):
            raise RuntimeError
    assert gate.bytes == 0


async def test_any_mixture_of_holders_and_cancellations_ends_empty_and_within_capacity():
    """The law of the gate: never over capacity but for one alone, nobody left behind."""
    rng, gate, over = Random(3), ByteGate(100), []

    async def work(size):
        async with gate.hold(size):
            over.append(gate.bytes > 100 and gate.bytes != size)
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)

    tasks = []
    for _ in range(400):
        tasks.append(asyncio.create_task(work(rng.choice([1, 10, 30, 60, 100, 250]))))
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
        if rng.random() < 0.5:
            await asyncio.sleep(0)
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (any(over), gate.bytes, gate.waiting) == (False, 0, 0)


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_gate_without_room_is_refused(capacity):
    """A zero in the configuration would stop all polling silently."""
    with pytest.raises(ValueError, match="capacity must be > 0"):
        ByteGate(capacity)


async def test_a_negative_size_is_refused():
    """It would let others in above capacity."""
    with pytest.raises(ValueError, match="size must be >= 0"):
        async with ByteGate(1).hold(-1):
            pass


def test_the_defaults_are_the_documented_caps():
    """The reliability page promises these numbers."""
    assert dataclasses.asdict(Limits()) == {
        "body_bytes": 32 * 1024**2,
        "json_depth": 64,
        "records_per_page": 10_000,
        "pages_per_poll": 10_000,
        "string_bytes": 64 * 1024,
        "dns_seconds": 5.0,
        "connect_seconds": 5.0,
        "tls_seconds": 5.0,
        "idle_seconds": 15.0,
        "request_seconds": 60.0,
        "attempts": 6,
        "poll_seconds": 300.0,
        "retry_after_seconds": 3600.0,
        "connections": 4,
    }


def test_every_cap_is_explained():
    """A number that nobody understands is changed blindly."""
    source = module.__loader__.get_source(module.__name__)
    for field in dataclasses.fields(Limits):
        after = source.partition(f"    {field.name}: ")[2].splitlines()
        assert after[1].strip().startswith('"""'), field.name
