"""Run slots: takes claimed jobs from the local queue, runs their handlers, puts verdicts into the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ..domain.events import JobStarted, UnknownDefinition
from ..domain.job import ClaimedJob
from ..domain.priorities import WeightedQueue
from ..domain.status import ClusterMode
from ..domain.verdict import (
    StateChange,
    cancelled_unstarted,
    classify,
    defer_unknown,
    hand_back,
    plain_success,
)
from ..errors import MessageTooLarge
from ..handlers import BoundHandler, CancelReason, JobContext, Run, WorkerSite
from ..ports import Clock
from .active import Active
from .announcer import Announcer
from .depth import Depth
from .isolation import Isolation
from .judge import judge
from .options import ClusterLimits, WorkerOptions
from .outbox import Outbox
from .terms import TermsBook

__all__ = ["Dispatcher"]

_LONGEST_DEFER = 60.0
"""Seconds for which a job without a handler is deferred at most."""
_STILL_RUNNING = timedelta(seconds=5)
"""How long a job waits whose former run has not ended in this process."""


class Dispatcher:
    """The local queue and the run slots of one worker; everything happens in its event loop.

    A job that lost its worker before is started only after its start mark is stored, and alone in its
    bucket; see :mod:`.isolation`.
    """

    def __init__(
        self,
        site: WorkerSite,
        options: WorkerOptions,
        depth: Depth,
        limits: ClusterLimits,
        find: Callable[[str], BoundHandler | None],
        outbox: Outbox,
        clock: Clock,
        ring: Callable[[], None],
        look: Callable[[], None],
        expect: Callable[[float], None],
        trusted: Callable[[float], bool],
        announcer: Announcer,
        logger: logging.Logger,
    ) -> None:
        self._site = site
        self._options = options
        self._depth = depth
        self._limits = limits
        self._find = find
        self._outbox = outbox
        self._clock = clock
        self._ring = ring
        self._look = look
        self._expect = expect
        self._trusted = trusted
        """Whether the claims held here are still this worker's own at this monotonic instant."""
        self._announcer = announcer
        self._logger = logger
        self._queue: WeightedQueue[ClaimedJob] = WeightedQueue()
        self._free = options.slots
        self.running: dict[int, Active] = {}
        """By the numbers of job ids, which are found in a third of the steps that ids take."""
        self._isolation = Isolation(self._runs_in)
        self.unknown: dict[str, float] = {}
        """Definition ids met here that no handler serves, with the monotonic instant last seen."""
        self.held = False
        """While true nothing new is started: the worker is stopping."""
        self._terms = TermsBook(limits)
        self._released = False
        self._expecting = False
        """Whether a claim is under way, so that a job may be ours that has not come in."""
        self._read = (float("-inf"), clock.now())
        """A monotonic instant, the last that was told, and the instant that it is."""
        self._cancelled: set[UUID] = set()
        """Jobs that were asked to be cancelled while a claim was under way."""

    # -- room and contents -----------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more claimed jobs fit."""
        return (self._depth.least if self.careful else self._depth.size) - self.held_jobs

    @property
    def careful(self) -> bool:
        """Whether suspects are here, behind which others have to wait."""
        return bool(self._isolation.alone) or self.gathering

    @property
    def held_jobs(self) -> int:
        """How many claimed jobs are here, running or not."""
        return self.waiting + len(self.running)

    @property
    def starved(self) -> bool:
        """Whether a slot is free and nothing waits for it."""
        return self._free > 0 and not self._queue.size

    @property
    def waiting(self) -> int:
        """How many claimed jobs wait: for a slot, or for a suspect of their bucket."""
        return self._queue.size + len(self._isolation.parked)

    @property
    def meets_unknown(self) -> bool:
        """Whether jobs that no handler here serves came lately, which it deferred and may meet again."""
        since = self._clock.monotonic() - 2 * _LONGEST_DEFER
        return any(at >= since for at in self.unknown.values())

    @property
    def closed(self) -> frozenset[UUID]:
        """Buckets that start nothing at present, because a suspect runs alone in them."""
        return self._isolation.closed

    def claims(self) -> dict[UUID, int]:
        """Job id → claim number of everything queued or running."""
        held = {job.id: job.claim_no for job in (*self._queue, *self._isolation.parked)}
        held.update((active.run.job.id, active.run.job.claim_no) for active in self.running.values())
        return held

    def vital_deadline(self) -> float:
        """The latest deadline of the running jobs, as a monotonic instant; safe from any thread."""
        return max((active.deadline_at for active in list(self.running.values())), default=0.0)

    @property
    def gathering(self) -> bool:
        """Whether jobs wait here until all of their kind have come in."""
        return self._isolation.gathering

    def offer(self, jobs: Iterable[ClaimedJob], *, more: bool = False) -> None:
        """Take in claimed jobs and start what fits; ``more``: others are claimed next."""
        suspects: list[ClaimedJob] = []
        for job in jobs:
            if job.cancel_requested or (self._cancelled and job.id in self._cancelled):
                self._verdict(cancelled_unstarted(job, self._clock.now(), self._options.id))
            elif job.losses:
                suspects.append(job)
            else:
                self._queue.push(job.priority, job)
        if suspects or self._isolation.gathering:
            self._isolation.gather(suspects)
            for job in self._isolation.gathered(more=more and self.room > 0):
                self._queue.push(job.priority, job)
        self.fill()

    def expect_claims(self, coming: bool) -> None:
        """Whether claimed jobs may be on their way here."""
        self._expecting = coming
        if not coming:
            self._cancelled.clear()

    def fill(self, at: float | None = None) -> None:
        """Start queued jobs while slots are free; hand them back once the cluster runs nothing. ``at`` is the
        present monotonic instant, for who has just read it."""
        queue, isolation = self._queue, self._isolation
        if not queue.size:
            return
        if self._limits.mode is not ClusterMode.ACTIVE:
            self.hand_back_queued()
        if at is None:
            at = self._clock.monotonic()
        while self._free > 0 and not self.held:
            # a process that was frozen begins nothing that others may have taken over meanwhile
            job = queue.pop() if self._trusted(at) else None
            if job is None:
                return
            if job.id.int in self.running:
                # claimed anew while the run that lost its lease has not ended here: wait for it
                self._verdict(hand_back(job)._replace(delay=_STILL_RUNNING), at)
                continue
            if (job.losses or isolation.alone) and not isolation.admit(job):
                continue
            bound = self._find(job.definition_id)
            if bound is None:
                self._defer(job)
                continue
            self._start(job, bound, at)

    def _start(self, job: ClaimedJob, bound: BoundHandler, at: float) -> None:
        rules, timeout = self._terms.of(job, bound)
        # what ends one run begins the next
        now = self._read[1] if at == self._read[0] else self._instant(at)
        run = Run(job, self._site, bound, now, timeout, rules.max_retries)
        active = self.running[job.id.int] = Active(run, rules, at, at + timeout)
        self._free -= 1
        if job.losses:
            self._look()
        else:
            self.launch(active)

    def _instant(self, at: float) -> datetime:
        now = self._clock.instant(at)
        self._read = (at, now)
        return now

    def _runs_in(self, bucket: UUID) -> bool:
        return any(active.run.job.bucket_id == bucket for active in self.running.values())

    def launch(self, active: Active) -> None:
        """Start the handler; for a suspect, once its start mark is stored."""
        if self._announcer.heard:
            job = active.run.job
            self._announcer.emit(JobStarted(job.id, job.definition_id, job.attempt + 1, self._options.id))
        # never by a factory of the loop's: one that begins at once would end here what it has to begin
        active.task = asyncio.Task(self._execute(active))
        self._expect(active.deadline_at)

    # -- running ---------------------------------------------------------------------------------------

    async def _execute(self, active: Active) -> None:
        run, active.entered = active.run, True
        if run.cancel_reason is None and not self._trusted(self._clock.monotonic()):
            run.request_cancel("lost")
        if run.cancel_reason is not None:
            self._never_began(active)
            return
        raised: BaseException | None = None
        text: str | None = None
        bound = run.bound
        direct = bound.direct
        try:
            if direct is None:
                text = await bound.invoke(run)
            else:
                result = await direct(JobContext(run))
                if result is not None:
                    text = bound.codecs.encode_result(result)
            if text is not None:
                self._check_size(text)
        except BaseException as error:
            # whatever user code raises is a verdict on its job, never the end of the worker
            raised = error
        if run.busy is not None:
            await self._outlast_thread(run.busy)
        at = self._clock.monotonic()
        if run.cancel_reason == "lost":
            self._leave(active, at)
            return
        now = self._instant(at)
        try:
            if raised is None and run.cancel_reason is None and not run.logged:
                change = plain_success(run.job, run.started_at, now, text, self._options.id)
            else:
                outcome = judge(run, raised, text, now)
                change = classify(run.job, outcome, active.rules, self._options.id)
        finally:
            self._leave(active, at)
        self._verdict(change, at)

    async def _outlast_thread(self, busy: asyncio.Future[object]) -> None:
        """A thread cannot be stopped: its job keeps slot and claim until the thread has ended."""
        while not busy.done():
            try:
                await asyncio.wait([busy])
            except asyncio.CancelledError:
                if self._released:
                    raise

    def _check_size(self, text: str) -> None:
        most = self._limits.max_message_bytes
        if most is not None and len(text) * 4 > most:
            size = len(text.encode())
            if size > most:
                raise MessageTooLarge(f"the result has {size} bytes; max_message_bytes is {most}")

    def _leave(self, active: Active, at: float | None = None) -> None:
        """Free what the run held, then start the next."""
        job = active.run.job
        del self.running[job.id.int]
        self._free += 1
        if at is not None:
            self._depth.ended += 1
            self._depth.busy += at - active.began_at
        freed = self._isolation.ended(job, ran=active.task is not None) if self._isolation.alone else ()
        if freed:
            self._resume(freed, at)
        else:
            self.fill(at)

    def settled(self, changes: Iterable[StateChange]) -> None:
        """These verdicts are stored, or refused: suspects among them make way for what waits behind them."""
        freed = self._isolation.settled(changes)
        if freed:
            self._resume(freed)

    def _resume(self, freed: Sequence[ClaimedJob], at: float | None = None) -> None:
        for job in reversed(freed):
            self._queue.push_front(job.priority, job)
        self.fill(at)

    def _verdict(self, change: StateChange, at: float | None = None) -> None:
        self._outbox.put(change, self._clock.monotonic() if at is None else at)
        self._ring()

    def _defer(self, job: ClaimedJob) -> None:
        now = self._clock.now()
        waited = (now - (job.unknown_since or now)).total_seconds()
        if job.definition_id not in self.unknown:
            self._logger.warning(
                "no handler here for definition id %r: its jobs wait for a worker that has one",
                job.definition_id,
            )
            self._announcer.emit(UnknownDefinition(job.definition_id, self._options.id))
        self.unknown[job.definition_id] = self._clock.monotonic()
        delay = timedelta(seconds=min(_LONGEST_DEFER, max(2.0, waited / 4)))
        self._verdict(defer_unknown(job, now, self._limits.unknown_limit, delay, self._options.id))

    # -- stopping --------------------------------------------------------------------------------------

    def stop_run(self, active: Active, reason: CancelReason) -> None:
        """Ask one running job to stop: ``cancelled``, ``timeout``, ``interrupted`` or ``lost``.

        A coroutine is cancelled, a child process is told and killed, a thread is only asked.
        """
        active.run.request_cancel(reason)
        if active.task is None:
            # a suspect whose start mark is still being written
            self._never_began(active)
        else:
            self.nudge(active)

    def _never_began(self, active: Active) -> None:
        """It was asked to stop before its handler began: that is no run."""
        job, reason = active.run.job, active.run.cancel_reason
        self._leave(active)
        if reason == "cancelled":
            self._verdict(cancelled_unstarted(job, self._clock.now(), self._options.id))
        elif reason != "lost":
            self._verdict(hand_back(job))

    def cancel(self, job_id: UUID) -> None:
        """Cancel a job that is held here: at once when it has not started; when it may be on its way here, as
        soon as it comes in."""
        active = self.running.get(job_id.int)
        if active is not None:
            if active.run.cancel_reason is None:
                self.stop_run(active, "cancelled")
            return
        job = self._take_out(job_id)
        if job is not None:
            self._verdict(cancelled_unstarted(job, self._clock.now(), self._options.id))
        elif self._expecting:
            self._cancelled.add(job_id)

    def _take_out(self, job_id: UUID) -> ClaimedJob | None:
        found = self._isolation.withdraw(job_id)
        if found is not None:
            return found
        waiting = self._queue.clear()
        for job in waiting:
            if job.id == job_id and found is None:
                found = job
            else:
                self._queue.push(job.priority, job)
        return found

    def release(self) -> None:
        """The worker has stopped: nothing waits any longer for threads that do not end."""
        self._released = True
        for active in self.running.values():
            if active.task is not None:
                active.task.cancel()

    def nudge(self, active: Active) -> None:
        """Cancel, or cancel again, what was asked to stop; a thread can only be asked."""
        active.nudged_at = self._clock.monotonic()
        if active.task is not None and active.entered and active.run.busy is None:
            active.task.cancel()

    def hand_back_queued(self) -> int:
        """Give every unstarted job back at once; how many."""
        jobs = [*self._queue.clear(), *self._isolation.parked]
        self._isolation.forget()
        for job in jobs:
            self._verdict(hand_back(job))
        return len(jobs)

    def shed(self, count: int) -> None:
        """Give this many unstarted jobs back, those first whose turn would come last; suspects stay."""
        parked = self._isolation.spare(count)
        queued = self._queue.take_last(count - len(parked), lambda job: not job.losses)
        for job in (*parked, *queued):
            self._verdict(hand_back(job))

    def abandon(self, job_ids: Iterable[UUID] | None = None) -> list[Active]:
        """These claims (or all) are no longer owned: forget what is queued, stop what runs."""
        if job_ids is None:
            self._queue.clear()
            self._isolation.forget()
            lost = list(self.running.values())
        else:
            gone = set(job_ids)
            for job in self._queue.clear():
                if job.id not in gone:
                    self._queue.push(job.priority, job)
            lost = [self.running[job_id.int] for job_id in gone if job_id.int in self.running]
        for active in lost:
            self.stop_run(active, "lost")
        return lost
