"""Two settles of one worker under way at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import ClusterMode, WorkerMode
from jobmaster.domain.verdict import StateChange, plain_success
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
from jobmaster.errors import TransientStoreError
from jobmaster.ports import Settled
from jobmaster.testing import FakeClock
from tests.unit.domain.test_verdict import claimed
from tests.unit.engine.test_parts import pass_time, spin

LOGGER = logging.getLogger("tests")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BITE = 9
"""Three tenths of the buffer: 10 jobs at once and 20 slots."""


class Calls:
    """``StoreCalls`` whose answers a test gives when it likes."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, tuple[Any, ...], asyncio.Future[Any]]] = []
        self.of_others = 0

    @property
    def busy(self) -> int:
        return len(self.waiting) + self.of_others

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((getattr(function, "__name__", "call"), args, answer))
        return await answer

    def names(self) -> list[str]:
        return [name for name, _, _ in self.waiting]

    def carried(self, place: int) -> int:
        """How many verdicts the call at this place carries."""
        return len(self.waiting[place][1][0].changes)

    async def answer(self, place: int, with_: Any = None) -> None:
        _, _, answer = self.waiting.pop(place)
        if isinstance(with_, Exception):
            answer.set_exception(with_)
        else:
            answer.set_result(Settled(frozenset(), [], NOW, {}) if with_ is None else with_)
        await spin()

    def close(self) -> None:
        """There are no threads."""


class Bench:
    """A pump that turns, and what stands around it."""

    def __init__(self, abreast: int, gate: Gate | None = None) -> None:
        self.clock, self.outbox, self.calls = FakeClock(), Outbox(30), Calls()
        self.settled: list[StateChange] = []
        self.offered: list[Any] = []
        self.alarm = Alarm(self.clock)
        limits = ClusterLimits(ClusterMode.ACTIVE, timedelta(minutes=5), 3, Retry.none(), 5, None, None)
        self.limits = limits
        lease = timedelta(seconds=10)
        options = WorkerOptions(uuid7(), "w", "default", WorkerMode.FULL, 10, lease, timedelta(seconds=1))
        store: Any = SimpleNamespace(
            name="fake", abreast=abreast, claimed_in=_claimed_in, recheck=_recheck, settle=None
        )
        self.pump = Pump(
            options,
            limits,
            store,
            store,
            self.calls,
            self.clock,
            self.outbox,
            self.alarm,
            Announcer([], Completions(), LOGGER),
            lambda: self.pump.tenure,  # type: ignore[arg-type, return-value]
            ALONE,
            gate or Gate(),
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
            claims=dict,
            offer=self.offered.append,
            abandon=list,
            expect_claims=lambda coming: None,
            settled=self.settled.extend,
        )
        self.pump.dispatcher = dispatcher
        first = self.tenure()
        self.trust = first.trust
        self.pump.tenure = first

    def tenure(self) -> Any:
        """Buckets whose lease has just begun."""
        trust = Trust(self.clock, 10.0)
        trust.renewed(self.clock.monotonic())
        plan = SimpleNamespace(hungry=False)
        return SimpleNamespace(trust=trust, buckets=frozenset(), plan=plan, forsake=_forsake)

    async def end(self, jobs: int) -> None:
        """So many jobs end."""
        for _ in range(jobs):
            job = claimed()._replace(id=uuid7())
            change = plain_success(job, NOW, NOW, None, uuid7())
            self.outbox.put(change, self.clock.monotonic())
        self.alarm.ring()
        await spin()


def _claimed_in() -> None:
    """Named so that a test recognises the call."""


def _recheck() -> None:
    """Named so that a test recognises the call."""


def _forsake() -> None:
    """Named so that a test recognises the call."""


@asynccontextmanager
async def turning(abreast: int = 2, gate: Gate | None = None) -> AsyncIterator[Bench]:
    bench = Bench(abreast, gate)
    task = asyncio.create_task(bench.pump.run())
    await spin()
    try:
        yield bench
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_second_settle_leaves_once_there_is_enough_for_it() -> None:
    async with turning() as bench:
        await bench.end(1)
        assert [bench.calls.carried(0)] == [1]
        await bench.end(BITE - 1)
        assert len(bench.calls.waiting) == 1
        await bench.end(1)
        assert [bench.calls.carried(n) for n in range(2)] == [1, BITE]
        await bench.end(3 * BITE)
        assert len(bench.calls.waiting) == 2
        assert bench.pump.pending == 1 + 4 * BITE
        assert not bench.pump.settled
        # whichever comes back first makes room for the next
        await bench.calls.answer(1)
        assert len(bench.settled) == BITE
        assert [bench.calls.carried(n) for n in range(2)] == [1, 3 * BITE]
        await bench.calls.answer(0)
        await bench.calls.answer(0)
        assert bench.pump.settled
        assert len(bench.settled) == 1 + 4 * BITE


async def test_where_the_store_takes_one_at_a_time_it_waits() -> None:
    async with turning(abreast=1) as bench:
        await bench.end(1)
        await bench.end(2 * BITE)
        assert len(bench.calls.waiting) == 1


async def test_while_others_keep_the_store_busy_it_waits() -> None:
    async with turning() as bench:
        bench.calls.of_others = 1
        await bench.end(1)
        await bench.end(2 * BITE)
        assert [bench.calls.carried(0)] == [1]
        await bench.calls.answer(0)
        assert [bench.calls.carried(0)] == [2 * BITE]


async def test_workers_of_one_process_take_turns_at_a_store_that_takes_few_at_once() -> None:
    gate = Gate(1)
    async with turning(gate=gate) as first, turning(gate=gate) as second:
        await first.end(1)
        await second.end(1)
        assert [first.calls.carried(0)] == [1]
        assert second.calls.waiting == []
        assert second.pump.pending == 1
        # who waits gathers more, and no second settle of one worker passes another that waits
        await second.end(3)
        await first.end(2 * BITE)
        assert len(first.calls.waiting) == 1
        await first.calls.answer(0)
        assert [second.calls.carried(0)] == [4]
        assert first.calls.waiting == []
        await second.calls.answer(0, TransientStoreError("cut", ambiguous=True))
        # a fault gives the place back as well
        assert [first.calls.carried(0)] == [2 * BITE]
        await first.calls.answer(0)
        assert first.pump.settled


async def test_who_has_left_the_gate_may_leave_through_it_at_once() -> None:
    async with turning(gate=Gate(2)) as bench:
        await bench.end(1)
        await bench.end(BITE)
        await bench.end(BITE)
        assert len(bench.calls.waiting) == 2
        # nobody rings when the gate opens: it must be open when the answer is heard of
        await bench.calls.answer(0)
        assert [bench.calls.carried(n) for n in range(2)] == [BITE, BITE]
        await bench.calls.answer(0)
        await bench.calls.answer(0)
        assert bench.pump.settled


async def test_a_lease_that_is_lost_at_the_gate_is_seen_there() -> None:
    gate = Gate(1)
    async with turning(gate=gate) as first, turning(gate=gate) as second:
        await first.end(1)
        await second.end(1)
        second.trust.revoke()
        await first.calls.answer(0)
        assert second.calls.names() == ["_forsake"]
        assert gate.open


async def test_a_worker_that_ends_while_it_waits_keeps_no_place() -> None:
    gate = Gate(1)
    async with turning(gate=gate) as first:
        await first.end(1)
        async with turning(gate=gate) as second:
            await second.end(1)
            assert second.calls.waiting == []
        assert [len(second.pump.unsettled()), len(first.calls.waiting)] == [1, 1]
        await first.calls.answer(0)
        assert gate.open
        await first.end(1)
        assert [first.calls.carried(0)] == [1]
    # one that ends while its settle is under way gives its place back
    await spin()
    assert gate.open


async def test_after_a_lost_answer_nothing_is_read_before_the_other_is_back() -> None:
    async with turning() as bench:
        await bench.end(1)
        await bench.end(BITE)
        await bench.calls.answer(0, TransientStoreError("cut", ambiguous=True))
        await bench.end(2 * BITE)
        await pass_time(bench.clock, 2.0)
        assert bench.calls.names() == ["_guarded_settle"]
        await bench.calls.answer(0)
        assert len(bench.settled) == BITE
        assert bench.calls.names() == ["_claimed_in"]
        await bench.calls.answer(0, [])
        await bench.calls.answer(0, [])
        # the claim of the one in doubt is gone: it was settled
        assert len(bench.settled) == BITE + 1
        assert [bench.calls.carried(0)] == [2 * BITE]


async def test_a_fault_that_nobody_foresaw_counts_as_a_lost_answer() -> None:
    async with turning() as bench:
        await bench.end(1)
        await bench.calls.answer(0, RuntimeError("a defect"))
        assert bench.pump.pending == 1
        await pass_time(bench.clock, 2.0)
        assert bench.calls.names() == ["_claimed_in"]


async def test_what_fails_after_its_lease_was_lost_is_dropped() -> None:
    async with turning() as bench:
        await bench.end(1)
        bench.trust.revoke()
        bench.alarm.ring()
        await spin()
        assert bench.pump.tenure is None
        assert bench.calls.names() == ["_guarded_settle", "_forsake"]
        await bench.calls.answer(1)
        await bench.calls.answer(0, TransientStoreError("gone", ambiguous=True))
        fresh = bench.tenure()
        await bench.calls.answer(0, fresh)
        assert bench.pump.tenure is fresh
        assert bench.pump.pending == 0


async def test_what_is_under_way_when_the_worker_stops_is_not_settled() -> None:
    async with turning() as bench:
        await bench.end(1)
        await bench.end(BITE)
    assert len(bench.pump.unsettled()) == 1 + BITE


async def test_suspects_do_not_wait_for_claims_that_nobody_makes() -> None:
    async with turning() as bench:
        dispatcher: Any = bench.pump.dispatcher

        def offer(jobs: list[Any]) -> None:
            bench.offered.append(jobs)
            dispatcher.gathering = False

        dispatcher.offer, dispatcher.gathering = offer, True
        bench.alarm.ring()
        await spin()
        assert bench.offered == []
        bench.limits.mode = ClusterMode.PASSIVE
        bench.alarm.ring()
        await spin()
        assert bench.offered == [[]]


async def test_the_instant_to_look_does_not_pass_between_two_readings_of_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was still to come when the pump decided whether to look, and over when it decided for how long to
    sleep: then it slept for a second."""
    bench = Bench(1)
    bench.pump.woken = False
    bench.pump.dispatcher.room = 5  # type: ignore[misc]
    slept: list[float] = []

    async def sleep(seconds: float) -> bool:
        slept.append(seconds)
        return False

    monkeypatch.setattr(bench.pump, "_alarm", SimpleNamespace(sleep=sleep))
    start = bench.clock.monotonic()
    bench.pump._poll_at = start + 0.0005
    readings = iter(start + step / 1000 for step in range(100))
    monkeypatch.setattr(bench.clock, "monotonic", lambda: next(readings))
    assert bench.pump.tenure is not None
    await bench.pump._turn(bench.pump.tenure)
    assert len(slept) == 1
    assert slept[0] < 0.01
