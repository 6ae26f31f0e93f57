"""Schedules in an SQL database. A schedule's row is locked first, then its jobs are looked at and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from ..domain.job import NewJob
from ..domain.occurrence import is_owed, rewritten
from ..domain.schedule import WAITS_ITS_TURN, OverlapPolicy, ScheduleFilter, ScheduleRecord
from ..errors import ConflictError
from ..ports.schedules import PLANNERS, Change, Decide, DecideOne, Decision, Planned, Runs
from ..sql.database import Database
from ..sql.gateway import Gateway, Tx
from ..sql.newjobs import lanes_to_wake, millis
from ..sql.schedulerows import UnreadableSchedule, move_row, record_of, row_values
from ..sql.schedulestatements import SCHEDULE_COLUMNS

__all__ = ["SqlScheduleStore"]

T = TypeVar("T")
_MICROSECOND = timedelta(microseconds=1)
_IDS = 1000
_TRIES = 9
_NONE = Runs(0, 0)
_MOST_WITHDRAWN = 20_000
_UNREADABLE = timedelta(minutes=5)


class SqlScheduleStore:
    """``ScheduleStore`` on a :class:`~jobmaster.sql.Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def _gateway(self) -> Gateway:
        return self._database.gateway

    @property
    def hears_all(self) -> bool:
        dialect = self._database.dialect
        return dialect.wakes_across_processes and not dialect.options.pgbouncer

    def look(self) -> tuple[datetime, datetime | None]:
        gateway = self._gateway
        ((now, due),) = gateway.read("schedule_look", lambda tx: tx.rows("schedule_look"))
        instant = gateway.dialect.instant
        return instant(now), None if due is None else instant(due)

    # --- planning -----------------------------------------------------------------------------------

    def plan(self, decide: Decide, limit: int) -> Planned:
        def work(tx: Tx) -> Planned:
            rows = tx.rows("schedule_due", limit=limit)
            now = tx.now()
            if not rows:
                return Planned(now, 0, 0, (), False)
            records = _readable(tx, rows)
            runs = _runs(tx, [r for r in records if r.overlap is not OverlapPolicy.ALLOW])
            decided: list[tuple[ScheduleRecord, Decision]] = []
            for record in records:
                decision = decide(record, now, runs.get(record.id, _NONE))
                if decision is not None:
                    decided.append((record, decision))
            released, cancel = self._write_jobs(tx, decided)
            jobs = self._insert(tx, [job for _, decision in decided for job in decision.jobs], now)
            tx.reach("plan.jobs_written")
            tx.bulk("schedule_move", [move_row(d.record) for _, d in decided if d.record is not None])
            more = len(rows) >= limit or len(decided) < len(records)
            return Planned(now, len(decided), len(jobs) + released, cancel, more)

        return self._again("plan", work)

    def _write_jobs(
        self, tx: Tx, decided: Sequence[tuple[ScheduleRecord, Decision]]
    ) -> tuple[int, tuple[UUID, ...]]:
        """Release, drop and look for those to cancel: few schedules have any of it."""
        uuid = tx.dialect.uuid
        released: list[UUID] = []
        lanes: set[str] = set()
        cancel: list[UUID] = []
        for record, decision in decided:
            if decision.release or decision.drop:
                most = _MOST_WITHDRAWN if decision.drop else decision.release
                rows = _waiting(tx, record.id, most)
                released += [uuid(row[0]) for row in rows[: decision.release]]
                lanes |= {row[1] for row in rows[: decision.release]}
                if decision.drop:
                    left = rows[decision.release :]
                    _drop(tx, [uuid(row[0]) for row in left if not is_owed(row[2], record.misfire)])
            if decision.cancel:
                asked, heard = _ask_to_stop(tx, record)
                cancel += asked
                lanes |= heard
        for part in _parts(released):
            tx.run("schedule_release", ids=part)
        tx.dialect.notify(tx, lanes)
        return len(released), tuple(cancel)

    def _insert(self, tx: Tx, jobs: Sequence[NewJob], now: datetime) -> list[NewJob]:
        """Insert jobs whose ids exist nowhere; those."""
        uuid = tx.dialect.uuid
        known: set[UUID] = set()
        for part in _parts([job.id for job in jobs]):
            known |= {uuid(row[0]) for row in tx.rows("history_has", ids=part)}
            known |= {uuid(row[0]) for row in tx.rows("jobs_there", ids=part)}
        fresh = [job for job in jobs if job.id not in known]
        if fresh:
            tx.dialect.enqueue(tx, fresh, lanes_to_wake(fresh, max(now, datetime.now(UTC))), True)
            pinned: dict[str, list[UUID]] = {}
            for job in fresh:
                if job.agent is not None:
                    pinned.setdefault(job.agent, []).append(job.id)
            for agent, ids in pinned.items():
                for part in _parts(ids):
                    tx.run("job_pin", agent=agent, ids=part)
        return fresh

    # --- one schedule -------------------------------------------------------------------------------

    def change(self, schedule_id: str, decide: DecideOne) -> Change:
        refused: list[ConflictError] = []

        def work(tx: Tx) -> Change:
            row = tx.row("schedule_lock", schedule_id=schedule_id)
            before = None if row is None else record_of(tx.dialect, row)
            now = tx.now()
            runs = _NONE if before is None else _runs(tx, [before]).get(schedule_id, _NONE)
            try:
                decision = decide(before, now, runs)
            except ConflictError as fault:
                refused.append(fault)
                raise
            if decision is None:
                return Change(now, before, before)
            record = decision.record
            target = record or before
            if target is None:
                return Change(now, None, None)
            if decision.withdraw:
                _drop(tx, [tx.dialect.uuid(row[0]) for row in _unstarted(tx, schedule_id)])
            if decision.rewrite:
                _rewrite(tx, target)
            _, cancel = self._write_jobs(tx, [(target, decision)])
            jobs = self._insert(tx, decision.jobs, now)
            tx.reach("schedule_change.jobs_written")
            if record is None:
                tx.run("schedule_drop", schedule_id=schedule_id)
            else:
                tx.run("schedule_put" if before is None else "schedule_set", **row_values(record))
            tx.dialect.notify(tx, {PLANNERS})
            left = cancel
            if decision.withdraw:
                left = tuple(
                    tx.dialect.uuid(row[0]) for row in tx.rows("schedule_jobs", schedule_id=schedule_id)
                )
            return Change(now, before, record, tuple(jobs), left)

        return self._again("schedule_change", work, refused)

    # --- reading ------------------------------------------------------------------------------------

    def get(self, schedule_id: str) -> ScheduleRecord | None:
        gateway = self._gateway
        row = gateway.read("schedule_get", lambda tx: tx.row("schedule_get", schedule_id=schedule_id))
        return None if row is None else record_of(gateway.dialect, row)

    def find(self, criteria: ScheduleFilter, limit: int, after: str | None) -> list[ScheduleRecord]:
        conditions: list[str] = []
        values: dict[str, Any] = {}
        if criteria.status is not None:
            conditions.append("j.status = :status")
            values["status"] = criteria.status.value
        for name in ("definition_id", "profile_id"):
            value = getattr(criteria, name)
            if value is not None:
                conditions.append(f"{{text:{name}}}")
                values[name] = value
        if after is not None:
            conditions.append("j.schedule_id > :after")
            values["after"] = after
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        template = (
            f"SELECT {{top:most}}{SCHEDULE_COLUMNS} FROM {{table:schedule}} j {where}"
            "ORDER BY j.schedule_id {limit:most}"
        )
        gateway = self._gateway
        rows = gateway.read("schedule_find", lambda tx: tx.query(template, most=limit, **values))
        return [record_of(gateway.dialect, row) for row in rows]

    def profiles(self) -> frozenset[str]:
        rows = self._gateway.read("schedule_profiles", lambda tx: tx.rows("schedule_profiles"))
        return frozenset(row[0] for row in rows)

    def ids_of(self, profile_id: str) -> frozenset[str]:
        rows = self._gateway.read(
            "schedule_profile", lambda tx: tx.rows("schedule_profile", profile_id=profile_id)
        )
        return frozenset(row[0] for row in rows)

    def outdated(self, zone_data: str, limit: int, after: str | None) -> list[str]:
        values = {"zone_data": zone_data, "limit": limit, "after": after or ""}
        rows = self._gateway.read("schedule_outdated", lambda tx: tx.rows("schedule_outdated", **values))
        return [row[0] for row in rows]

    def live_jobs(self, schedule_id: str) -> list[UUID]:
        gateway = self._gateway
        rows = gateway.read("schedule_jobs", lambda tx: tx.rows("schedule_jobs", schedule_id=schedule_id))
        return [gateway.dialect.uuid(row[0]) for row in rows]

    def prune(self, age: timedelta, limit: int) -> int:
        def work(tx: Tx) -> int:
            rows = tx.rows("schedule_ended", age=age // _MICROSECOND, limit=limit)
            for row in rows:
                tx.run("schedule_drop", schedule_id=row[0])
            return len(rows)

        return self._gateway.transaction("schedule_prune", work)

    def _again(self, what: str, work: Callable[[Tx], T], refused: Sequence[ConflictError] = ()) -> T:
        """Again when somebody else inserts the same rows at the same moment: the next time they are met,
        unless they were deleted and inserted once more. What is ``refused`` is refused at once."""
        for _ in range(_TRIES):
            try:
                return self._gateway.transaction(what, work)
            except ConflictError:
                if refused:
                    raise
        return self._gateway.transaction(what, work)


def _readable(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[ScheduleRecord]:
    """The schedules of these rows; one that cannot be read is set aside for a while, with the reason."""
    found: list[ScheduleRecord] = []
    for row in rows:
        try:
            found.append(record_of(tx.dialect, row))
        except UnreadableSchedule as fault:
            pause = _UNREADABLE // _MICROSECOND
            tx.run("schedule_set_aside", schedule_id=fault.schedule_id, error=str(fault), pause=pause)
    return found


def _runs(tx: Tx, records: Sequence[ScheduleRecord]) -> dict[str, Runs]:
    found: dict[str, Runs] = {}
    for start in range(0, len(records), _IDS):
        part = [record.id for record in records[start : start + _IDS]]
        for row in tx.rows("schedule_runs", schedules=part, far=WAITS_ITS_TURN):
            found[row[0]] = Runs(int(row[1]), int(row[2]))
    for record in records:
        runs = found.get(record.id, _NONE)
        if record.overlap is OverlapPolicy.CANCEL_OTHER and runs.waiting:
            rows = _waiting(tx, record.id, _MOST_WITHDRAWN)
            found[record.id] = runs._replace(owed=sum(is_owed(row[2], record.misfire) for row in rows))
    return found


def _ask_to_stop(tx: Tx, record: ScheduleRecord) -> tuple[list[UUID], set[str]]:
    """The live runs that have to stop and were not asked yet, and their lanes.

    Those in a bucket of this store are asked here and now, so that it is not forgotten.
    """
    uuid = tx.dialect.uuid
    rows = [
        row
        for row in tx.rows("schedule_live", schedule_id=record.id, far=WAITS_ITS_TURN)
        if not is_owed(row[2], record.misfire)
    ]
    asked = [uuid(row[0]) for row in rows]
    for part in _parts(asked):
        holders = {
            uuid(row[0]): uuid(row[1]) for row in tx.rows("owned_lock", ids=part) if row[1] is not None
        }
        if not holders:
            continue
        buckets = list(set(holders.values()))
        there = {uuid(row[0]) for row in tx.rows("buckets_there", ids=buckets)}
        # what is on its way to another store is asked there
        there -= {uuid(row[0]) for row in tx.rows("movers_there", ids=buckets)}
        for job_id, bucket in holders.items():
            if bucket in there:
                tx.run("job_ask_cancel", id=job_id, reason="cancelled")
    return asked, {row[1] for row in rows}


def _waiting(tx: Tx, schedule_id: str, limit: int) -> list[tuple[Any, ...]]:
    return tx.rows("schedule_waiting", schedule_id=schedule_id, far=WAITS_ITS_TURN, limit=limit)


def _unstarted(tx: Tx, schedule_id: str) -> list[tuple[Any, ...]]:
    return tx.rows("schedule_unstarted", schedule_id=schedule_id, limit=_MOST_WITHDRAWN)


def _rewrite(tx: Tx, record: ScheduleRecord) -> None:
    """Give the occurrences that wait here and never began what their schedule says now."""
    alike: dict[str | None, list[UUID]] = {}
    for row in _unstarted(tx, record.id):
        alike.setdefault(rewritten(row[1], record.metadata), []).append(tx.dialect.uuid(row[0]))
    values = {
        "definition_id": record.definition_id,
        "lane": record.lane,
        "priority": int(record.priority),
        "data": record.data,
        "timeout_ms": millis(record.timeout),
        "max_retries": record.max_retries,
        "retry": record.retry,
        "agent": record.agent,
    }
    for metadata, ids in alike.items():
        for part in _parts(ids):
            tx.run("schedule_rewrite", ids=part, metadata=metadata, **values)
    if alike:
        tx.dialect.notify(tx, {record.lane})


def _drop(tx: Tx, ids: Sequence[UUID]) -> None:
    for part in _parts(ids):
        tx.run("job_drop", ids=part)


def _parts(ids: Collection[UUID]) -> list[list[UUID]]:
    wanted = list(ids)
    return [wanted[start : start + _IDS] for start in range(0, len(wanted), _IDS)]
