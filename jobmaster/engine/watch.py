"""Watches running jobs: their deadlines, their start marks and progress, requests to cancel them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from ..domain.verdict import classify
from ..errors import StoreError
from ..ports import AgentTransport, Clock, RunningMark, Settlement
from .active import Active
from .dispatcher import Dispatcher
from .judge import judge
from .storethreads import StoreCalls
from .supervisor import Service, Supervisor
from .tenure import Tenure

__all__ = ["Watch"]

_MARK_AFTER = 1.0
"""Seconds a job runs before its start is marked in the store, for all to see. Shorter ones cost no write."""
_NUDGE_EVERY = 1.0
"""Seconds after which a coroutine that swallowed its cancellation is cancelled again."""


class Watch:
    """Two services beside the main loop of one worker: deadlines and marks."""

    def __init__(
        self,
        transport: AgentTransport,
        settlement: Settlement,
        calls: StoreCalls,
        clock: Clock,
        worker_id: UUID,
        tenure: Callable[[], Tenure | None],
        logger: logging.Logger,
    ) -> None:
        self._transport = transport
        self._settlement = settlement
        self._worker_id = worker_id
        self._calls = calls
        self._clock = clock
        self._tenure = tenure
        self._logger = logger
        self._marks = Service("marks", self._mark, _MARK_AFTER, clock, logger)
        self._deadlines = Service("deadlines", self._enforce, 3600.0, clock, logger)
        self._next_deadline = float("inf")
        self.dispatcher: Dispatcher

    def start(self, supervisor: Supervisor) -> None:
        """Run both services under this supervisor."""
        supervisor.start("deadlines", self._deadlines.run)
        supervisor.start("marks", self._marks.run)

    def look(self) -> None:
        """Write marks and read requests to cancel now: a suspect waits, or a wake-up hints at one."""
        self._marks.ring()

    def expect(self, deadline_at: float) -> None:
        """A run with this deadline (monotonic) has begun."""
        if deadline_at < self._next_deadline:
            self._next_deadline = deadline_at
            self._deadlines.ring()

    async def _enforce(self) -> float | None:
        now = self._clock.monotonic()
        upcoming = float("inf")
        for active in list(self.dispatcher.running.values()):
            if active.run.cancel_reason is None:
                if active.deadline_at > now:
                    upcoming = min(upcoming, active.deadline_at)
                    continue
                self._time_out(active)
            elif now - active.nudged_at >= _NUDGE_EVERY:
                self.dispatcher.nudge(active)
            upcoming = min(upcoming, now + _NUDGE_EVERY)
        self._next_deadline = upcoming
        return None if upcoming == float("inf") else max(0.0, upcoming - now)

    def _time_out(self, active: Active) -> None:
        self.dispatcher.stop_run(active, "timeout")
        if active.run.bound.kind == "thread":
            self._logger.warning(
                "job %s (%s) timed out in a thread, which cannot be stopped: it keeps its slot until it ends",
                active.run.job.id,
                active.run.job.definition_id,
            )

    def record_overdue(self) -> None:
        """The loop is stuck: record the time-outs that it cannot. From the renewer's thread, as the last act
        before the lease is given up; otherwise a handler that blocks the loop would be lost again and again
        instead of timing out once."""
        now = self._clock.monotonic()
        changes = []
        for active in list(self.dispatcher.running.values()):
            run = active.run
            if active.deadline_at > now or run.cancel_reason is not None or run.bound.kind != "coroutine":
                continue
            run.request_cancel("timeout")
            self._logger.error(
                "job %s (%s) blocks the event loop beyond its timeout", run.job.id, run.job.definition_id
            )
            outcome = judge(run, None, None, self._clock.now())
            changes.append(classify(run.job, outcome, active.rules, self._worker_id))
        if changes:
            try:
                self._settlement.settle(changes, None)
            except StoreError as fault:
                self._logger.warning("the time-outs could not be recorded: %s", fault)

    async def _mark(self) -> float | None:
        tenure = self._tenure()
        if tenure is None or not self.dispatcher.held_jobs or not tenure.trust.holds():
            return None
        for job_id in await self._calls.run(self._transport.cancellations, tenure.buckets):
            self.dispatcher.cancel(job_id)
        now = self._clock.monotonic()
        marks: list[RunningMark] = []
        watched: list[Active] = []
        for active in self.dispatcher.running.values():
            run = active.run
            if active.task is None or now - active.began_at >= _MARK_AFTER or run.progress_dirty:
                job = run.job
                progress = run.progress if run.progress_dirty else None
                run.progress_dirty = False
                marks.append(RunningMark(job.id, job.bucket_id, job.claim_no, run.started_at, progress))
                watched.append(active)
        if not marks:
            return None
        answer = await self._calls.run(self._transport.mark, marks)
        for active in watched:
            job_id = active.run.job.id
            if self.dispatcher.running.get(job_id.int) is not active:
                continue
            if job_id in answer.lost:
                self.dispatcher.abandon([job_id])
            elif active.task is None:
                self.dispatcher.launch(active)
        return None
