"""Makes jobs of the occurrences of schedules when they are due.

Any number of planners work on one store: each locks the schedules it plans, skips those that another holds,
and commits the jobs together with the schedules' cursors. Until then it sleeps to the instant at which the
earliest schedule is due, so that what it costs does not depend on how many there are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from ..domain.events import OccurrencesMissed, OccurrencesSkipped, ScheduleFailing
from ..domain.schedule import ScheduleRecord, ScheduleStatus
from ..domain.status import ClusterMode, WorkerMode
from ..errors import JobMasterError, JobNotFound, TransientStoreError
from ..ports import PLANNERS, Clock, Decision, Listener, MasterStore, Planned, Runs, ScheduleStore
from ..recurrence.zones import zone_data_version
from .announcer import Announcer
from .decider import Decider, failed, recurrence_of
from .options import ClusterLimits
from .signals import tell
from .storethreads import StoreCalls
from .supervisor import Service, Supervisor
from .uninterrupted import keep_result

__all__ = ["Planner"]

_BATCH = 1000
_LOOK_EVERY = 10.0
"""Seconds between looks where every change of a schedule is heard of."""
_LOOK_OFTEN = 4.0
"""The same where changes made by other processes are not."""
_NOT_OFTENER = 1.0
"""Seconds between looks for which something may have happened, but nobody knows what."""
_OTHERS = 0.1
"""Seconds after which due schedules are looked for again that another planner holds."""
_TOLD_IN = timedelta(seconds=0.3)
"""How long the end of a run takes from an agent to the master, more or less."""
_OUTDATED = 200
_PRUNED = 500


class Planner:
    """The planner of one process.

    ``listen`` subscribes to the master's wake-ups; ``cancel`` asks a job to stop. Both may block.
    """

    def __init__(
        self,
        cluster_id: str,
        store: ScheduleStore,
        master: MasterStore,
        limits: ClusterLimits,
        listen: Callable[[Callable[[str | None], None]], Listener],
        cancel: Callable[[UUID], object],
        calls: StoreCalls,
        clock: Clock,
        announcer: Announcer,
        logger: logging.Logger,
    ) -> None:
        self._cluster_id = cluster_id
        self._store = store
        self._master = master
        self._limits = limits
        self._listen = listen
        self._cancel = cancel
        self._calls = calls
        self._clock = clock
        self._announcer = announcer
        self._logger = logger
        self._looks_every = _LOOK_EVERY if store.hears_all else _LOOK_OFTEN
        self._looked_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None
        self._outdated_after: str | None = None
        self._waiting: set[str] = set()
        """Schedules of which occurrences wait for their turn, as far as this planner knows."""
        self._freed: set[str] = set()
        """Those of them of which a run has ended in this process."""
        self.service = Service("planner", self.tick, self._looks_every, clock, logger)
        self._zones = Service("zones", self.renew_zones, 3600.0, clock, logger, first_after=2.0)
        self._pruner = Service("pruner", self.prune, 3600.0, clock, logger, first_after=60.0)

    async def start(self, supervisor: Supervisor) -> None:
        """Begin to plan."""
        self._loop = asyncio.get_running_loop()
        await keep_result(self._calls.run(self._listen, self.wake), self._hear)
        self._announcer.on_run_ended = self._ended
        for service in (self.service, self._zones, self._pruner):
            supervisor.start(service.name, service.run)

    def _hear(self, listener: Listener) -> None:
        self._listener = listener

    async def stop(self) -> None:
        """Release what :meth:`start` took; the supervisor has ended the loops."""
        self._announcer.on_run_ended = None
        if self._listener is not None:
            await self._calls.run(self._listener.close)
            self._listener = None

    def wake(self, lane: str | None = None) -> None:
        """Something happened on the master; from any thread. Lanes do not matter here."""
        if lane in (PLANNERS, None):
            tell(self._loop, self._heard, lane)

    def _heard(self, lane: str | None) -> None:
        if lane == PLANNERS or self._clock.monotonic() - self._looked_at >= _NOT_OFTENER:
            self.service.ring()

    def _ended(self, schedules: set[str]) -> None:
        """Runs of these have ended in this process, in whose event loop this is called."""
        freed = schedules & self._waiting
        if freed:
            self._freed |= freed
            self.service.ring()

    # -- ticks -----------------------------------------------------------------------------------------

    async def tick(self) -> float | None:
        """Plan what is due; seconds until the next look. Nothing is planned while the cluster is passive."""
        if self._limits.mode is not ClusterMode.ACTIVE:
            return _NOT_OFTENER
        self._looked_at = self._clock.monotonic()
        while self._freed:
            await self._release(self._freed.pop())
        now, due = await self._calls.run(self._store.look)
        if due is None or due > now:
            return self._pause(now, due)
        unknown = await self._calls.run(self._unknown)
        while True:
            planned = await self._pass(unknown)
            if not planned.more or planned.schedules == 0:
                break
        now, due = await self._calls.run(self._store.look)
        return max(_OTHERS if planned.schedules == 0 else 0.0, self._pause(now, due))

    async def _release(self, schedule_id: str) -> None:
        """Let the next one begin that waits for its turn, if there is room for it."""
        decider = Decider(self._cluster_id, ())

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            if record is None or record.status is not ScheduleStatus.ACTIVE or not runs.waiting:
                return None
            decision = decider(record, now, runs)
            if runs.live and decision is not None and decision.record is not None:
                # the master is told of the end in a moment
                soon, due_at = now + _TOLD_IN, decision.record.due_at
                moved = replace(decision.record, due_at=soon if due_at is None else min(due_at, soon))
                decision = replace(decision, record=moved)
            return decision

        change = await self._calls.run(self._store.change, schedule_id, decide)
        self._note(decider)
        await self._stop(change.left)

    def _note(self, decider: Decider) -> None:
        self._waiting = (self._waiting - decider.notes.keys()) | decider.waiting
        for before, after in decider.notes.values():
            self._tell(before, after)

    def _pause(self, now: datetime, due: datetime | None) -> float:
        if due is None:
            return self._looks_every
        return min(self._looks_every, max(0.0, (due - now).total_seconds()))

    async def _pass(self, unknown: Collection[tuple[str, str]]) -> Planned:
        decider = Decider(self._cluster_id, unknown)
        try:
            planned = await self._calls.run(self._store.plan, decider, _BATCH)
        except TransientStoreError:
            raise
        except Exception as fault:
            # whatever it is that one of them holds: the others are planned
            self._logger.warning("schedules are planned one by one, after a batch was refused: %s", fault)
            planned = await self._one_by_one(unknown)
        else:
            await self._told(decider, planned)
        return planned

    async def _one_by_one(self, unknown: Collection[tuple[str, str]]) -> Planned:
        """Plan a batch in transactions of one schedule each, so that the one that is refused stands alone."""
        looked = jobs = 0
        while True:
            decider = Decider(self._cluster_id, unknown)
            try:
                planned = await self._calls.run(self._store.plan, decider, 1)
            except TransientStoreError:
                raise
            except Exception as fault:
                if decider.asked is None:
                    raise
                await self._set_aside(decider.asked, fault)
                looked += 1
            else:
                await self._told(decider, planned)
                looked, jobs = looked + planned.schedules, jobs + planned.jobs
                if planned.schedules == 0 or looked >= _BATCH:
                    return replace(planned, schedules=looked, jobs=jobs)

    async def _set_aside(self, schedule_id: str, fault: Exception) -> None:
        def decide(record: ScheduleRecord | None, now: datetime, _runs: Runs) -> Decision | None:
            return None if record is None else Decision(failed(record, now, fault))

        changed = await self._calls.run(self._store.change, schedule_id, decide)
        if changed.before is not None and changed.after is not None:
            self._tell(changed.before, changed.after)

    # -- afterwards ------------------------------------------------------------------------------------

    async def _told(self, decider: Decider, planned: Planned) -> None:
        self._note(decider)
        await self._stop(planned.cancel)

    async def _stop(self, jobs: Collection[UUID]) -> None:
        """Ask runs to stop. What cannot be asked now is asked again at the next look at its schedule, for as
        long as an occurrence waits for it."""
        for job_id in jobs:
            try:
                await self._calls.run(self._cancel, job_id)
            except JobNotFound:
                continue
            except JobMasterError as fault:
                self._logger.warning("job %s could not be asked to stop: %s", job_id, fault)

    def _tell(self, before: ScheduleRecord, after: ScheduleRecord) -> None:
        name, emit = after.id, self._announcer.emit
        if after.error is not None and after.error != before.error:
            self._logger.warning("schedule %r is not planned: %s", name, after.error)
            emit(ScheduleFailing(name, after.error))
        elif after.error is None and before.error is not None:
            self._logger.info("schedule %r is planned again", name)
        missed = after.missed - before.missed
        if missed > 0 and after.missed_from is not None and after.missed_to is not None:
            first, last = after.missed_from, after.missed_to
            self._logger.warning(
                "schedule %r: %d occurrences from %s to %s were missed and are not run",
                name,
                missed,
                first.isoformat(),
                last.isoformat(),
            )
            emit(OccurrencesMissed(name, missed, first, last))
        skipped = after.skipped - before.skipped
        if skipped > 0:
            self._logger.info("schedule %r: %d occurrences met a live run and are skipped", name, skipped)
            emit(OccurrencesSkipped(name, skipped))

    def _unknown(self) -> frozenset[tuple[str, str]]:
        """Lanes and definition ids that every live worker of the lane has met and does not know."""
        by_lane: dict[str, list[frozenset[str]]] = {}
        for worker in self._master.workers():
            if worker.alive and worker.mode in (WorkerMode.FULL, WorkerMode.EXECUTION):
                by_lane.setdefault(worker.lane, []).append(frozenset(worker.unknown_definitions))
        return frozenset(
            (lane, definition)
            for lane, unknown in by_lane.items()
            for definition in frozenset.intersection(*unknown)
        )

    async def prune(self) -> float | None:
        """Delete schedules that have ended and whose retention is over, some at a time."""
        retention = self._limits.data_retention
        if retention is None or self._limits.mode is ClusterMode.ARCHIVED:
            return None
        gone = await self._calls.run(self._store.prune, retention, _PRUNED)
        return 0.1 if gone >= _PRUNED else None

    # -- tz data ---------------------------------------------------------------------------------------

    async def renew_zones(self) -> float | None:
        """Find the next occurrence anew where it was found by other tz data, some schedules at a time."""
        if self._limits.mode is ClusterMode.ARCHIVED:
            return None
        version = zone_data_version()
        ids = await self._calls.run(self._store.outdated, version, _OUTDATED, self._outdated_after)
        for schedule_id in ids:
            await self._calls.run(self._store.change, schedule_id, _renewed)
        self._outdated_after = ids[-1] if len(ids) == _OUTDATED else None
        return 0.1 if self._outdated_after is not None else None


def _renewed(record: ScheduleRecord | None, now: datetime, _runs: Runs) -> Decision | None:
    if record is None or record.status is not ScheduleStatus.ACTIVE or record.due_at is None:
        return None
    try:
        next_at = recurrence_of(record).next_after(record.cursor_at)
    except Exception as fault:
        # shown with the schedule, like every failure to plan it
        return Decision(failed(record, now, fault))
    due_at = now if next_at is None else min(next_at, max(record.due_at, now))
    return Decision(replace(record, next_run_at=next_at, due_at=due_at, zone_data=zone_data_version()))
