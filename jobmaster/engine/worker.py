"""A worker: claims jobs from one agent, runs them, settles what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from ..domain.events import WorkerStarted, WorkerStopped
from ..errors import StoreError
from ..handlers import BoundHandler, WorkerSite
from ..ports import AgentTransport, Clock, Listener, Settlement
from .announcer import Announcer
from .border import ALONE, Border
from .depth import Depth
from .dispatcher import Dispatcher
from .frontier import Frontier
from .gate import Gate
from .options import ClusterLimits, WorkerOptions
from .outbox import Outbox
from .pump import Pump
from .signals import Alarm, tell
from .storethreads import StoreCalls
from .supervisor import Supervisor
from .tenure import Tenure
from .uninterrupted import keep_result
from .watch import Watch

__all__ = ["Worker"]

_UNKNOWN_SHOWN = 600.0
"""Seconds for which an unknown definition id is reported after it was last met."""


class Worker:
    """One worker; lives in the event loop that called :meth:`start`.

    ``find`` gives the handler of a definition id; ``set_trusted_until`` hears regularly until which
    monotonic instant child processes may trust their claims.
    """

    def __init__(
        self,
        site: WorkerSite,
        options: WorkerOptions,
        limits: ClusterLimits,
        transport: AgentTransport,
        settlement: Settlement,
        calls: StoreCalls,
        clock: Clock,
        find: Callable[[str], BoundHandler | None],
        announcer: Announcer,
        logger: logging.Logger,
        set_trusted_until: Callable[[float], None],
        border: Border = ALONE,
        gate: Gate | None = None,
        frontier: Frontier | None = None,
    ) -> None:
        self.options = options
        self._frontier = frontier or Frontier(clock)
        self._transport = transport
        self._calls = calls
        self._clock = clock
        self._announcer = announcer
        self._logger = logger
        self._set_trusted_until = set_trusted_until
        self._alarm = Alarm(clock)
        self._outbox = Outbox(options.most_buffered)
        depth = Depth(options)
        self._supervisor = Supervisor(logger)
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alive_at = clock.monotonic()
        self._hurried = False
        self._ringing = False
        """Whether a wake-up is on its way to the loop: one is enough for many."""
        self._watch = Watch(
            transport, settlement, calls, clock, options.id, lambda: self._pump.tenure, logger
        )
        self._pump = Pump(
            options,
            limits,
            transport,
            settlement,
            calls,
            clock,
            self._outbox,
            self._alarm,
            announcer,
            self._new_tenure,
            border,
            gate or Gate(),
            depth,
            logger,
        )
        self.dispatcher = Dispatcher(
            site,
            options,
            depth,
            limits,
            find,
            self._outbox,
            clock,
            self._alarm.ring,
            self._watch.look,
            self._watch.expect,
            self._trusts_claims,
            announcer,
            logger,
        )
        self._watch.dispatcher = self._pump.dispatcher = self.dispatcher

    @property
    def id(self) -> UUID:
        """The id of this worker, fresh per start."""
        return self.options.id

    def backlog(self, most: int) -> int:
        """How many jobs are due on its lane and not claimed, counted up to ``most``. Blocking."""
        return self._transport.backlog(self.options.lane, most)

    @property
    def unsettled(self) -> int:
        """How many outcomes are not stored yet."""
        return self._pump.pending

    # -- life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open buckets (raises what the store raises) and begin to work."""
        self._loop = asyncio.get_running_loop()
        self._ringing = False
        self._alive_at = self._clock.monotonic()
        await keep_result(self._calls.run(self._new_tenure), self._enter)
        await keep_result(self._calls.run(self._transport.listen, self._wake_from_thread), self._hear)
        self._supervisor.start("pulse", self._pulse)
        self._watch.start(self._supervisor)
        self._supervisor.start("pump", self._pump.run)
        self._logger.info(
            "worker %s started on agent %r: lane %s, %s, %d slots",
            self.options.id,
            self._transport.name,
            self.options.lane,
            self.options.mode.value,
            self.options.slots,
        )
        self._announcer.emit(WorkerStarted(self.options.id, self.options.name, self.options.lane))

    def _enter(self, tenure: Tenure) -> None:
        self._pump.tenure = tenure

    def _hear(self, listener: Listener) -> None:
        self._listener = listener

    async def stop(self) -> None:
        """Stop cleanly: claim no more, hand back what has not started, give running handlers the grace
        period, then cancel them and hand them back as interrupted, store everything, give the buckets up."""
        self._pump.stopping = True
        self.dispatcher.held = True
        if self._pump.tenure is not None:
            await self._quietly("complete buckets", self._pump.tenure.complete)
        self.dispatcher.hand_back_queued()
        self._alarm.ring()
        grace = self.options.grace.total_seconds()
        await self._until(lambda: not self.dispatcher.running or self._hurried, grace)
        for active in list(self.dispatcher.running.values()):
            self.dispatcher.stop_run(active, "interrupted")
        await self._until(lambda: not self.dispatcher.running, min(5.0, max(1.0, grace)))
        await self._until(lambda: self._pump.settled, self.options.lease.total_seconds() / 3)
        if self._listener is not None:
            await self._calls.run(self._listener.close)
            self._listener = None
        await self._supervisor.stop()
        await self._leave()
        self._logger.info("worker %s stopped", self.options.id)
        self._announcer.emit(WorkerStopped(self.options.id, self.options.name, self.options.lane))

    def hurry(self) -> None:
        """End the grace period of a stop that is under way."""
        self._hurried = True

    async def _leave(self) -> None:
        tenure, self._pump.tenure = self._pump.tenure, None
        if tenure is None:
            self.dispatcher.release()
            return
        # what could not be stored, and threads that do not end, stay claimed until the lease has run out
        stuck = frozenset(active.run.job.bucket_id for active in self.dispatcher.running.values())
        stuck |= frozenset(change.job.bucket_id for change in self._pump.unsettled())
        self.dispatcher.release()
        if stuck:
            self._logger.warning("stopped with unfinished work: %d buckets left to rescue", len(stuck))
        await self._quietly("close buckets", lambda: tenure.close(stuck))

    async def _quietly(self, what: str, call: Callable[[], object]) -> None:
        try:
            await self._calls.run(call)
        except StoreError as fault:
            self._logger.warning("%s: %s; the lease will run out instead", what, fault)

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while not reached() and self._clock.monotonic() < end:
            self._alarm.ring()
            await self._clock.sleep(0.01)

    # -- wake-ups --------------------------------------------------------------------------------------

    def wake(self, lane: str | None = None) -> None:
        """There may be work on this lane (``None``: on any). From any thread."""
        self._wake_from_thread(lane)

    def cancel(self, job_id: UUID) -> None:
        """A hint from this process that a job is to be cancelled. From any thread."""
        tell(self._loop, self.dispatcher.cancel, job_id)

    def _wake_from_thread(self, lane: str | None) -> None:
        if lane is not None and lane != self.options.lane:
            return
        if lane is None:
            # something may have happened: a cheap look tells more than a claim
            self._pump.look_soon()
        else:
            self._pump.woken = True
        if not self._ringing and self._loop is not None:
            self._ringing = True
            tell(self._loop, self._on_wake)

    def _on_wake(self) -> None:
        self._ringing = False
        self._alarm.ring()

    # -- lease and life signs --------------------------------------------------------------------------

    def _new_tenure(self) -> Tenure:
        tenure = Tenure(
            self._transport,
            self.options,
            self._clock,
            self._vital_until,
            self._watch.record_overdue,
            self._lost_from_thread,
            self._frontier,
            self._logger,
        )
        tenure.open()
        return tenure

    def _lost_from_thread(self, tenure: Tenure, reason: str) -> None:
        self._logger.warning("worker %s: %s", self.options.name, reason)
        self._set_trusted_until(float("-inf"))
        tell(self._loop, self._stop_lost, tenure)

    def _stop_lost(self, tenure: Tenure) -> None:
        if tenure is self._pump.tenure:
            self.dispatcher.abandon()
            self._alarm.ring()

    async def _pulse(self) -> None:
        """Show that the loop lives, and tell child processes until when they may trust their claims."""
        every = min(1.0, self.options.lease.total_seconds() / 10)
        while True:
            self._alive_at = self._clock.monotonic()
            tenure = self._pump.tenure
            if tenure is not None:
                self._set_trusted_until(tenure.trust.until)
            await self._clock.sleep(every)

    def _trusts_claims(self, at: float) -> bool:
        tenure = self._pump.tenure
        return tenure is not None and tenure.trust.holds(at)

    def _vital_until(self) -> float:
        """Until when the loop may be silent: a lease, or as long as a running handler may block it."""
        lease = self.options.lease.total_seconds()
        return max(self._alive_at, self.dispatcher.vital_deadline()) + lease

    def unknown_definitions(self) -> tuple[str, ...]:
        """Definition ids met lately that have no handler here."""
        since = self._clock.monotonic() - _UNKNOWN_SHOWN
        return tuple(sorted(name for name, at in self.dispatcher.unknown.items() if at >= since))
