"""``ScheduleStore`` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.job import NewJob
from ...domain.occurrence import is_owed, rewritten
from ...domain.schedule import WAITS_ITS_TURN, OverlapPolicy, ScheduleFilter, ScheduleRecord, ScheduleStatus
from ...domain.status import Priority, WorkerMode
from ...ports import PLANNERS, Change, Decide, DecideOne, Decision, Planned, Runs
from .database import MemoryDatabase, Row

__all__ = ["MemoryScheduleStore"]


class MemoryScheduleStore:
    """The schedules of a :class:`MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def hears_all(self) -> bool:
        return True

    def look(self) -> tuple[datetime, datetime | None]:
        with self._database.lock:
            due = [r.due_at for r in self._database.schedules.values() if r.due_at is not None]
            return self._database.clock.now(), min(due, default=None)

    # --- planning -----------------------------------------------------------------------------------

    def plan(self, decide: Decide, limit: int) -> Planned:
        database = self._database
        lanes: set[str] = set()
        with database.lock:
            now = database.clock.now()
            schedules = database.schedules.values()
            due = sorted((r.due_at, r.id) for r in schedules if r.due_at is not None and r.due_at <= now)
            taken = [schedule_id for _, schedule_id in due[:limit]]
            looked = jobs = 0
            cancel: list[UUID] = []
            for schedule_id in taken:
                record = database.schedules[schedule_id]
                decision = decide(record, now, self._runs(schedule_id))
                if decision is None:
                    continue
                looked += 1
                released, live = self._write(schedule_id, decision, lanes)
                jobs += released + len(self._insert(decision.jobs, now, lanes))
                cancel += live
                if decision.record is not None:
                    database.schedules[schedule_id] = decision.record
            more = len(due) > len(taken) or looked < len(taken)
        database.wake(lanes)
        return Planned(now, looked, jobs, tuple(cancel), more)

    def _jobs(self, schedule_id: str) -> list[Row]:
        return [row for row in self._database.live.values() if row.new.schedule_id == schedule_id]

    def _runs(self, schedule_id: str) -> Runs:
        rows = self._jobs(schedule_id)
        waiting = [row for row in rows if row.run_at >= WAITS_ITS_TURN]
        record = self._database.schedules.get(schedule_id)
        owed = 0
        if record is not None and record.overlap is OverlapPolicy.CANCEL_OTHER:
            owed = sum(is_owed(row.new.metadata, record.misfire) for row in waiting)
        return Runs(len(rows) - len(waiting), len(waiting), owed)

    def _write(self, schedule_id: str, decision: Decision, lanes: set[str]) -> tuple[int, list[UUID]]:
        database = self._database
        rows = self._jobs(schedule_id)
        waiting = sorted(
            (row for row in rows if row.run_at >= WAITS_ITS_TURN),
            key=lambda row: row.new.occurrence_at or WAITS_ITS_TURN,
        )
        live = [row for row in rows if row.run_at < WAITS_ITS_TURN]
        record = database.schedules.get(schedule_id) or decision.record
        released = waiting[: decision.release]
        for row in released:
            row.run_at = database.clock.now()
            lanes.add(row.new.lane)
        if decision.drop:
            for row in waiting[decision.release :]:
                if record is None or not is_owed(row.new.metadata, record.misfire):
                    del database.live[row.new.id]
        if not decision.cancel or record is None:
            return len(released), []
        asked = [
            row
            for row in live
            if not (row.bucket_id is not None and row.cancel_requested)
            and not is_owed(row.new.metadata, record.misfire)
        ]
        for row in asked:
            self._ask_to_stop(row)
            lanes.add(row.new.lane)
        return len(released), [row.new.id for row in asked]

    def _ask_to_stop(self, row: Row) -> None:
        bucket = None if row.bucket_id is None else self._database.buckets.get(row.bucket_id)
        if bucket is not None and bucket.mode is not WorkerMode.DRAIN:
            row.cancel_requested, row.cancel_reason = True, "cancelled"

    def _insert(self, jobs: Sequence[NewJob], now: datetime, lanes: set[str]) -> list[NewJob]:
        database = self._database
        fresh = [job for job in jobs if job.id not in database.live and job.id not in database.history]
        for job in fresh:
            database.live[job.id] = Row(job, job.run_at or now + job.delay, now)
            lanes.add(job.lane)
        return fresh

    # --- one schedule -------------------------------------------------------------------------------

    def change(self, schedule_id: str, decide: DecideOne) -> Change:
        database = self._database
        lanes: set[str] = {PLANNERS}
        with database.lock:
            now = database.clock.now()
            before = database.schedules.get(schedule_id)
            decision = decide(before, now, self._runs(schedule_id))
            if decision is None or (decision.record is None and before is None):
                return Change(now, before, before)
            record = decision.record
            if decision.withdraw:
                for row in self._unstarted(schedule_id):
                    del database.live[row.new.id]
            if decision.rewrite and record is not None:
                self._rewrite(record, lanes)
            _, left = self._write(schedule_id, decision, lanes)
            jobs = self._insert(decision.jobs, now, lanes)
            if record is None:
                del database.schedules[schedule_id]
            else:
                database.schedules[schedule_id] = record
            if decision.withdraw:
                left = [row.new.id for row in self._jobs(schedule_id)]
        database.wake(lanes)
        return Change(now, before, record, tuple(jobs), tuple(left))

    def _unstarted(self, schedule_id: str) -> list[Row]:
        return [
            row
            for row in self._jobs(schedule_id)
            if row.bucket_id is None and row.attempt == 0 and row.new.occurrence_at is not None
        ]

    def _rewrite(self, record: ScheduleRecord, lanes: set[str]) -> None:
        for row in self._unstarted(record.id):
            row.new = row.new._replace(
                definition_id=record.definition_id,
                lane=record.lane,
                priority=Priority(record.priority),
                data=record.data,
                metadata=rewritten(row.new.metadata, record.metadata),
                timeout=record.timeout,
                max_retries=record.max_retries,
                retry=record.retry,
                agent=record.agent,
            )
            row.unknown_since = None
            lanes.add(record.lane)

    # --- reading ------------------------------------------------------------------------------------

    def get(self, schedule_id: str) -> ScheduleRecord | None:
        with self._database.lock:
            return self._database.schedules.get(schedule_id)

    def find(self, criteria: ScheduleFilter, limit: int, after: str | None) -> list[ScheduleRecord]:
        with self._database.lock:
            found = [
                record
                for record in self._database.schedules.values()
                if criteria.status in (None, record.status)
                and criteria.definition_id in (None, record.definition_id)
                and criteria.profile_id in (None, record.profile_id)
                and (after is None or record.id > after)
            ]
        return sorted(found, key=lambda record: record.id)[:limit]

    def profiles(self) -> frozenset[str]:
        with self._database.lock:
            schedules = self._database.schedules.values()
            return frozenset(record.profile_id for record in schedules if record.profile_id is not None)

    def ids_of(self, profile_id: str) -> frozenset[str]:
        with self._database.lock:
            schedules = self._database.schedules.values()
            return frozenset(record.id for record in schedules if record.profile_id == profile_id)

    def outdated(self, zone_data: str, limit: int, after: str | None) -> list[str]:
        with self._database.lock:
            return sorted(
                record.id
                for record in self._database.schedules.values()
                if record.status is ScheduleStatus.ACTIVE
                and record.due_at is not None
                and record.zone_data != zone_data
                and (after is None or record.id > after)
            )[:limit]

    def live_jobs(self, schedule_id: str) -> list[UUID]:
        with self._database.lock:
            return [row.new.id for row in self._jobs(schedule_id)]

    def prune(self, age: timedelta, limit: int) -> int:
        with self._database.lock:
            cut = self._database.clock.now() - age
            gone = [
                record.id
                for record in self._database.schedules.values()
                if record.status is ScheduleStatus.ENDED
                and record.profile_id is None
                and record.cursor_at <= cut
            ][:limit]
            for schedule_id in gone:
                del self._database.schedules[schedule_id]
            return len(gone)
