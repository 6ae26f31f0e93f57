"""Decides about one due schedule: what to run, what not, and when to look again. Pure but for its caches."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from ..domain.job import NewJob
from ..domain.occurrence import with_catchup
from ..domain.planning import Due, Misfire, Reach, admit, jitter_of, reach
from ..domain.schedule import WAITS_ITS_TURN, MisfirePolicy, ScheduleRecord, ScheduleStatus
from ..errors import ConfigurationError
from ..ports import Decision, Runs
from ..recurrence import Recurrence, bounded, occurrence_id, parse
from ..recurrence.zones import official_name, zone_data_version
from .errortext import storable

__all__ = ["Decider", "UnknownZone", "failed", "job_for", "recurrence_of"]

_SOONEST, _LATEST = timedelta(seconds=0.25), timedelta(seconds=5)
"""How soon a schedule is looked at of which occurrences wait for their turn: a tenth of the time for which
the last of them has been due, within these bounds. An end in this process is heard of at once."""
_LEAST_GRACE = timedelta(seconds=2)
"""An occurrence that is late by no more than this is punctual, whatever the schedule says: no planner, and no
network before it, is so fast that a schedule could ask for less."""
_HANDLER_PAUSE = timedelta(seconds=5)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_BUDGET = 0.5
"""Seconds of deciding after which a transaction takes no more schedules."""
_COMPILED = 4096
_LONGEST_ERROR = 1000


class UnknownZone(ConfigurationError):
    """The installed tz data does not have the zone of a schedule (any more)."""


def recurrence_of(record: ScheduleRecord) -> Recurrence:
    """The recurrence of a schedule, within its bounds. Raises what reading its text raises."""
    return _compiled(
        record.kind,
        record.expression,
        record.time_zone,
        None if record.kind == "cron" else record.anchor,
        record.start_after,
        record.end_before,
        record.excluded_dates,
    )


@lru_cache(maxsize=_COMPILED)
def _compiled(
    kind: str,
    expression: str,
    time_zone: str | None,
    anchor: datetime | None,
    start_after: datetime | None,
    end_before: datetime | None,
    excluded_dates: tuple[object, ...],
) -> Recurrence:
    if time_zone is not None and official_name(time_zone) is None:
        raise UnknownZone(f"unknown zone {time_zone!r}: the tz data of this host does not have it")
    found = parse(expression, kind=kind, time_zone=time_zone, anchor=anchor)
    return bounded(
        found,
        start_after=start_after,
        end_before=end_before,
        excluded_dates=excluded_dates,  # type: ignore[arg-type]
        time_zone=time_zone,
    )


def job_for(cluster_id: str, record: ScheduleRecord, due: Due, *, waits: bool = False) -> NewJob:
    """The job of an occurrence: its id is the same whoever makes it."""
    return NewJob(
        id=occurrence_id(cluster_id, record.id, due.at),
        definition_id=record.definition_id,
        data=record.data,
        lane=record.lane,
        priority=record.priority,
        run_at=WAITS_ITS_TURN if waits else due.at + jitter_of(record.id, record.jitter),
        metadata=with_catchup(record.metadata, due),
        timeout=record.timeout,
        max_retries=record.max_retries,
        retry=record.retry,
        schedule_id=record.id,
        occurrence_at=due.at,
        agent=record.agent,
    )


def failed(record: ScheduleRecord, now: datetime, fault: BaseException) -> ScheduleRecord:
    """A schedule that could not be planned: it keeps its place, and is tried again after a while."""
    error = storable(f"{type(fault).__name__}: {fault}", _LONGEST_ERROR)
    if isinstance(fault, UnknownZone):
        reason = storable(str(fault), _LONGEST_ERROR)
        return replace(record, status=ScheduleStatus.PAUSED, due_at=None, error=reason)
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(record.failures, 20))
    return replace(record, failures=record.failures + 1, error=error, due_at=now + timedelta(seconds=pause))


class Decider:
    """Decides for one pass. ``unknown``: lanes and definition ids that no live worker of the lane knows."""

    def __init__(self, cluster_id: str, unknown: Collection[tuple[str, str]]) -> None:
        self._cluster_id = cluster_id
        self._unknown = unknown
        self._first: str | None = None
        self._began = 0.0
        self.asked: str | None = None
        """The schedule that was asked about last."""
        self.waiting: set[str] = set()
        """Those of which occurrences wait for their turn."""
        self.notes: dict[str, tuple[ScheduleRecord, ScheduleRecord]] = {}
        """The schedules decided about, before and after."""

    def __call__(self, record: ScheduleRecord, now: datetime, runs: Runs) -> Decision | None:
        if self._first in (None, record.id):
            # the first of a transaction, or the same one in another try
            self._first, self._began = record.id, time.monotonic()
        elif time.monotonic() - self._began > _BUDGET:
            return None
        self.asked = record.id
        decision = self._decide(record, now, runs)
        if decision.record is not None:
            self.notes[record.id] = (record, decision.record)
        return decision

    def _decide(self, record: ScheduleRecord, now: datetime, runs: Runs) -> Decision:
        if (record.lane, record.definition_id) in self._unknown:
            error = f"no live worker of lane {record.lane!r} knows definition id {record.definition_id!r}"
            return Decision(replace(record, error=error, due_at=now + _HANDLER_PAUSE))
        try:
            recurrence = recurrence_of(record)
            misfire = Misfire(
                record.misfire,
                max(record.misfire_grace, _LEAST_GRACE),
                record.misfire_cap,
                record.catchup_window,
            )
            found = reach(recurrence.next_after, record.cursor_at, now, misfire)
        except Exception as fault:
            # whatever it is: it must not keep others from being planned, and is shown with the schedule
            return Decision(failed(record, now, fault))
        return self._admit(record, now, runs, found)

    def _admit(self, record: ScheduleRecord, now: datetime, runs: Runs, found: Reach) -> Decision:
        catch_up = record.misfire is MisfirePolicy.FIRE_ALL
        verdict = admit(
            record.overlap, record.buffer_limit, runs.live, runs.waiting, found.due, catch_up, runs.owed
        )
        kept = runs.owed if verdict.drop else runs.waiting
        waiting = len(verdict.wait) + kept - (0 if verdict.drop else verdict.release)
        jobs = [job_for(self._cluster_id, record, due) for due in verdict.start]
        jobs += [job_for(self._cluster_id, record, due, waits=True) for due in verdict.wait]
        runs_at = [due.at for due in (*verdict.start, *verdict.wait)]
        due_at = found.next_at
        if waiting:
            since = max(runs_at) if runs_at else record.last_run_at or now
            look_at = now + min(_LATEST, max(_SOONEST, (now - since) / 10))
            due_at = look_at if due_at is None else min(due_at, look_at)
            self.waiting.add(record.id)
        missed = found.missed
        after = replace(
            record,
            status=ScheduleStatus.ENDED if due_at is None else record.status,
            cursor_at=found.cursor,
            next_run_at=found.next_at,
            due_at=due_at,
            last_run_at=max(runs_at) if runs_at else record.last_run_at,
            skipped=record.skipped + verdict.skipped,
            missed=record.missed + (missed.count if missed else 0),
            missed_from=missed.first if missed else record.missed_from,
            missed_to=missed.last if missed else record.missed_to,
            failures=0,
            error=None,
            zone_data=zone_data_version(),
        )
        return Decision(after, jobs, verdict.release, verdict.drop, cancel=verdict.cancel)
