"""The pump on a clock that a test moves: what a worker that was frozen may still do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from jobmaster.domain.ids import uuid7
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import ClusterMode, WorkerMode
from jobmaster.domain.verdict import StateChange, hand_back
from jobmaster.engine.announcer import Announcer
from jobmaster.engine.border import ALONE
from jobmaster.engine.completions import Completions
from jobmaster.engine.depth import Depth
from jobmaster.engine.gate import Gate
from jobmaster.engine.options import ClusterLimits, WorkerOptions
from jobmaster.engine.outbox import Outbox
from jobmaster.engine.pump import Pump
from jobmaster.engine.signals import Alarm
from jobmaster.engine.trust import Trust
from jobmaster.ports import ClaimRequest, Settled
from jobmaster.testing import FakeClock
from tests.unit.domain.test_verdict import claimed
from tests.unit.engine.test_parts import pass_time, spin

LOGGER = logging.getLogger("tests")
LEASE = timedelta(seconds=10)


class Store:
    """Notes what is settled."""

    name = "fake"
    abreast = 1

    def __init__(self) -> None:
        self.settled: list[StateChange] = []

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        self.settled += changes
        return Settled(frozenset(), [], datetime(2026, 1, 1, tzinfo=UTC), {})


class FrozenOnTheWay:
    """``StoreCalls``: so much time passes between the worker's decision and the call."""

    busy = 0

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        self.clock.advance(self.seconds)
        return function(*args)

    def close(self) -> None:
        """There are no threads."""


async def settle_after(seconds: float) -> tuple[Store, Outbox]:
    """A worker with one verdict decides to settle it, and reaches the store so much later."""
    clock, store, outbox = FakeClock(), Store(), Outbox(10)
    limits = ClusterLimits(ClusterMode.ACTIVE, timedelta(minutes=5), 3, Retry.none(), 5, None, None)
    options = WorkerOptions(uuid7(), "w", "default", WorkerMode.FULL, 10, LEASE, timedelta(seconds=1))
    store_: Any = store
    pump = Pump(
        options,
        limits,
        store_,
        store_,
        FrozenOnTheWay(clock, seconds),
        clock,
        outbox,
        Alarm(clock),
        Announcer([], Completions(), LOGGER),
        lambda: pump.tenure,  # type: ignore[arg-type, return-value]
        ALONE,
        Gate(),
        Depth(options),
        LOGGER,
    )
    dispatcher: Any = SimpleNamespace(
        room=0,
        starved=True,
        gathering=False,
        waiting=0,
        running={},
        careful=False,
        expect_claims=lambda *expected: None,
        settled=lambda changes: None,
    )
    pump.dispatcher = dispatcher
    trust = Trust(clock, LEASE.total_seconds())
    trust.renewed(clock.monotonic())
    tenure: Any = SimpleNamespace(trust=trust, buckets=frozenset(), plan=None)
    outbox.put(hand_back(claimed()), clock.monotonic())
    pump.tenure = tenure
    await pump._next()
    await spin()
    # what that has brought is taken in; after a fault the pump waits a little
    landing = asyncio.create_task(pump._next())
    await spin()
    await pass_time(clock, 2.0)
    await landing
    return store, outbox


async def test_a_worker_that_was_frozen_on_its_way_to_the_store_settles_nothing() -> None:
    """Its lease may be over while the store, or another worker, does not know yet."""
    store, outbox = await settle_after(60)
    assert store.settled == []
    # given up with the lease, or settled by whoever it belongs to then: it is not forgotten on the way
    assert len(outbox) == 1


async def test_one_that_comes_in_time_does() -> None:
    store, outbox = await settle_after(1)
    assert len(store.settled) == 1
    assert len(outbox) == 0
