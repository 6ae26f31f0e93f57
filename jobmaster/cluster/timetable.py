"""Schedules as the scheduler's calls change and show them: the sync core."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from ..domain.ids import uuid7
from ..domain.job import Job, Page
from ..domain.names import check_schedule_id
from ..domain.planning import Due, admit
from ..domain.schedule import (
    OverlapPolicy,
    Schedule,
    ScheduleFilter,
    ScheduleRecord,
    ScheduleStatus,
    public,
)
from ..domain.status import ClusterMode, JobStatus
from ..engine.decider import job_for, recurrence_of
from ..errors import (
    ConfigurationError,
    JobNotFound,
    RecurrenceSyntaxError,
    ScheduleNotFound,
    TransientStoreError,
    TransportUnavailable,
)
from ..ports import Change, Decision, Runs
from ..recurrence import Recurrence
from .backend import Backend
from .directory import JobDirectory
from .drafts import MOST_BACKFILLED, Draft, check_version, checked_count, declared, member, planned
from .expressions import ScheduleExpression, backfill_start, is_plain_word, read
from .producer import Producer
from .requests import aware_utc, snapshot
from .staticschedules import StaticProfile, way_out

__all__ = ["Timetable"]

E = TypeVar("E", bound=Enum)
_TICK = timedelta(microseconds=1)
_MOST_PER_PAGE = 1000
_MOST_SHOWN = 1000


class Timetable:
    """Everything about schedules. Blocking."""

    def __init__(
        self,
        backend: Backend,
        producer: Producer,
        directory: JobDirectory,
        wake: Callable[[str | None], None],
        time_zone: str,
    ) -> None:
        self._backend = backend
        self._store = backend.schedules
        self._producer = producer
        self._directory = directory
        self._wake = wake
        self._zone = time_zone
        self.run = producer.threads.run

    # -- declaring -------------------------------------------------------------------------------------

    def put(self, draft: Draft, expected_version: int | None = None) -> Schedule:
        """Store a schedule; one with this id is updated, or left alone when nothing differs."""
        if expected_version is not None:
            checked_count(expected_version, "expected_version", 0, 2**31 - 1)
        self._open_to_write()

        def decide(existing: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            check_version(draft.record.id, existing, expected_version)
            return declared(draft, existing, now, runs)

        return public(_present(self._change(draft.record.id, decide)[0]))

    def declare(self, profiles: Sequence[StaticProfile], logger: logging.Logger) -> None:
        """Store what code declares, and delete what its profiles declared before and declare no more."""
        if self._backend.limits.mode is ClusterMode.ARCHIVED:
            return
        known = self._store.profiles() if profiles else frozenset()
        # first what goes, in all of them: a schedule may have moved from one to another
        for profile in profiles:
            before = self._store.ids_of(profile.id) if profile.id in known else frozenset()
            for schedule_id in sorted(before - {draft.record.id for draft in profile.drafts}):
                self.cancel(schedule_id)
                logger.info("schedule %r is retired: profile %r has it no more", schedule_id, profile.id)
        here = frozenset(profile.id for profile in profiles)
        for profile in profiles:
            for draft in profile.drafts:
                try:
                    self.put(draft)
                except ConfigurationError as fault:
                    found = self._store.get(draft.record.id)
                    owner = None if found is None else found.profile_id
                    if owner is None or owner in here:
                        raise
                    raise ConfigurationError(f"{fault}. {way_out(owner, draft.record.id)}") from fault

    def _open_to_write(self) -> None:
        self._producer.check_writable()
        self._producer.ready()

    # -- changing --------------------------------------------------------------------------------------

    def pause(self, schedule_id: str) -> bool:
        """Plan no more occurrences until it is resumed; ``False`` when it is not active."""

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            record = _existing(record, schedule_id)
            if record.status is not ScheduleStatus.ACTIVE:
                return None
            return Decision(_touched(record, now, status=ScheduleStatus.PAUSED, due_at=None, error=None))

        return self._changed(schedule_id, decide)

    def resume(self, schedule_id: str, catch_up: bool) -> bool:
        """Plan again from now on, or with ``catch_up`` from where it was paused; ``False`` when it is not
        paused."""

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            record = _existing(record, schedule_id)
            if record.status is not ScheduleStatus.PAUSED:
                return None
            cursor = record.cursor_at if catch_up else max(now, record.cursor_at)
            return Decision(planned(_touched(record, now), cursor, now, runs))

        return self._changed(schedule_id, decide)

    def _changed(
        self,
        schedule_id: str,
        decide: Callable[[ScheduleRecord | None, datetime, Runs], Decision | None],
    ) -> bool:
        _check_id(schedule_id)
        self._open_to_write()
        change, repeated = self._change(schedule_id, decide)
        return repeated or change.before != change.after

    def _change(
        self,
        schedule_id: str,
        decide: Callable[[ScheduleRecord | None, datetime, Runs], Decision | None],
    ) -> tuple[Change, bool]:
        """Change a schedule; once more when nobody knows whether it took effect, which decides nothing new.
        Whether it was repeated. Raises ``TransportUnavailable``."""
        repeated = False
        while True:
            try:
                return self._store.change(schedule_id, decide), repeated
            except TransientStoreError as fault:
                if repeated or not fault.ambiguous:
                    raise TransportUnavailable(f"schedule {schedule_id!r}: {fault}") from fault
                repeated = True

    def cancel(self, schedule_id: str) -> bool:
        """Delete it with its planned occurrences; ``False`` when there is none. What runs runs on."""
        if isinstance(schedule_id, str) and check_schedule_id(schedule_id):
            return False
        _check_id(schedule_id)
        self._open_to_write()

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            return None if record is None else Decision(None, withdraw=True)

        change, repeated = self._change(schedule_id, decide)
        if change.before is None:
            return repeated
        for job_id in change.left if self._backend.distributed else ():
            self._cancel_unstarted(job_id)
        return True

    def _cancel_unstarted(self, job_id: UUID) -> None:
        """An occurrence that waits on an agent cannot be deleted from here: it ends as cancelled."""
        try:
            job = self._directory.get(job_id)
            if job.status.is_waiting and job.attempt == 0:
                self._directory.cancel(job_id)
        except JobNotFound:
            return

    # -- runs out of turn ------------------------------------------------------------------------------

    def run_now(self, schedule_id: str) -> Job:
        """One run now, beside whatever is planned."""
        _check_id(schedule_id)
        self._open_to_write()

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            record = _existing(record, schedule_id)
            job = job_for(self._backend.cluster_id, record, Due(now))
            return Decision(record, [job._replace(id=job_id, run_at=now, occurrence_at=None)])

        job_id = uuid7()
        change, _ = self._change(schedule_id, decide)
        return self._made(change)[0] if change.jobs else self._directory.get(job_id)

    def backfill(
        self, schedule_id: str, start: datetime, end: datetime, overlap: OverlapPolicy | str | None
    ) -> list[Job]:
        """Make the occurrences from ``start`` (included) to ``end`` (excluded), which must have passed."""
        _check_id(schedule_id)
        first, last = backfill_start(start), aware_utc(end, "end")
        if last <= first:
            raise ValueError("end must be later than start")
        policy = None if overlap is None else member(OverlapPolicy, overlap, "overlap")
        self._open_to_write()

        def decide(record: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
            record = _existing(record, schedule_id)
            if last > now:
                raise ValueError(f"a backfill is about the past: end must not be after {now.isoformat()}")
            due = [Due(at, True) for at in _between(recurrence_of(record), first, last)]
            # those that wait are released by the schedule's own policy, so this one can only be loosened
            chosen = record.overlap if policy is None or record.overlap is OverlapPolicy.ALLOW else policy
            verdict = admit(chosen, MOST_BACKFILLED, runs.live, runs.waiting, due, catch_up=True)
            cluster = self._backend.cluster_id
            jobs = [job_for(cluster, record, one) for one in verdict.start]
            jobs += [job_for(cluster, record, one, waits=True) for one in verdict.wait]
            if verdict.wait and record.status is not ScheduleStatus.PAUSED:
                # somebody has to look when those that wait may begin
                record = replace(record, status=ScheduleStatus.ACTIVE, due_at=now)
            loosened = chosen is OverlapPolicy.ALLOW and record.overlap is not OverlapPolicy.ALLOW
            # what the schedule itself lets wait keeps waiting for its turn
            return Decision(record, jobs, 0 if loosened else verdict.release)

        return self._made(self._change(schedule_id, decide)[0])

    def _made(self, change: Change) -> list[Job]:
        distributed = self._backend.distributed
        status = JobStatus.HELD_ON_MASTER if distributed else JobStatus.READY
        for lane in {job.lane for job in change.jobs}:
            self._wake(lane)
        held = self._backend.held.name
        return [snapshot(job, change.now, status, job.agent if distributed else held) for job in change.jobs]

    # -- looking ---------------------------------------------------------------------------------------

    def get(self, schedule_id: str) -> Schedule:
        """The schedule; ``ScheduleNotFound``."""
        _check_id(schedule_id)
        self._producer.ready()
        return public(_existing(self._store.get(schedule_id), schedule_id))

    def find(self, criteria: ScheduleFilter, limit: int, cursor: str | None) -> Page[Schedule]:
        """One page, ordered by id."""
        checked_count(limit, "limit", 1, _MOST_PER_PAGE)
        if cursor is not None and (fault := check_schedule_id(cursor, "cursor")):
            raise ValueError(fault)
        self._producer.ready()
        found = self._store.find(criteria, limit + 1, cursor)
        shown = [public(record) for record in found[:limit]]
        return Page(tuple(shown), shown[-1].id if len(found) > limit else None)

    def next_occurrences(
        self, schedule: Schedule | ScheduleExpression, count: int, time_zone: str | None
    ) -> list[datetime]:
        """The next instants of a stored schedule, by its id, or of an expression."""
        checked_count(count, "count", 1, _MOST_SHOWN)
        recurrence, now = self._recurrence(schedule, time_zone)
        found: list[datetime] = []
        instant: datetime | None = now
        while len(found) < count and instant is not None:
            instant = recurrence.next_after(instant)
            if instant is not None:
                found.append(instant)
        return found

    def _recurrence(
        self, schedule: Schedule | ScheduleExpression, time_zone: str | None
    ) -> tuple[Recurrence, datetime]:
        missing: ScheduleNotFound | None = None
        if isinstance(schedule, Schedule) or (isinstance(schedule, str) and time_zone is None):
            schedule_id = schedule.id if isinstance(schedule, Schedule) else schedule
            self._producer.ready()
            record = None if check_schedule_id(schedule_id) else self._store.get(schedule_id)
            if record is not None:
                return recurrence_of(record), self._backend.master.now()
            missing = _not_found(schedule_id)
        if isinstance(schedule, Schedule):
            raise missing or _not_found(schedule.id)
        now = self._backend.clock.now()
        try:
            return read(schedule, time_zone, self._zone, now).recurrence, now
        except RecurrenceSyntaxError as fault:
            if missing is None:
                raise
            if not is_plain_word(schedule):
                fault.add_note(f"it is the id of no schedule either: {missing}")
                raise
            missing.add_note(f"nor can it be read as an expression: {fault}")
            raise missing from fault


def _between(recurrence: Recurrence, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    at = recurrence.next_after(start - _TICK)
    while at is not None and at < end:
        if len(found) >= MOST_BACKFILLED:
            raise ValueError(f"a backfill makes at most {MOST_BACKFILLED} occurrences: shorten the stretch")
        found.append(at)
        at = recurrence.next_after(at)
    return found


def _touched(record: ScheduleRecord, now: datetime, **changes: Any) -> ScheduleRecord:
    """A schedule that somebody changes now."""
    return replace(record, version=record.version + 1, updated_at=now, **changes)


def _existing(record: ScheduleRecord | None, schedule_id: str) -> ScheduleRecord:
    if record is None:
        raise _not_found(schedule_id)
    return record


def _not_found(schedule_id: str) -> ScheduleNotFound:
    return ScheduleNotFound(f"no schedule {schedule_id!r}: it never existed here, or it was cancelled")


def _present(change: Change) -> ScheduleRecord:
    found = change.after
    assert found is not None
    return found


def _check_id(schedule_id: object) -> None:
    if not isinstance(schedule_id, str):
        raise TypeError(f"a schedule id is a text, not {type(schedule_id).__name__}")
    if check_schedule_id(schedule_id):
        raise _not_found(schedule_id)
