"""From what a caller asked for to a schedule that can be stored: checked before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from ..domain.durations import Duration, as_timedelta
from ..domain.job import NewJob
from ..domain.names import check_definition_id, check_schedule_id
from ..domain.schedule import MisfirePolicy, OverlapPolicy, ScheduleFilter, ScheduleRecord, ScheduleStatus
from ..engine.decider import recurrence_of
from ..errors import ConfigurationError, ConflictError, InvalidJob
from ..ports import Clock, Decision, Runs
from ..recurrence.zones import zone_data_version
from .expressions import Expression, ScheduleExpression, dates, read
from .requests import HandlerReference, JobOptions, RequestDesk, aware_utc

__all__ = [
    "MOST_BACKFILLED",
    "Draft",
    "ScheduleDesk",
    "ScheduleOptions",
    "check_version",
    "checked_count",
    "declared",
    "member",
    "planned",
    "schedule_filter",
]

E = TypeVar("E", bound=Enum)
MOST_BACKFILLED = 10_000
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What a schedule says beside its expression and the options of its jobs."""

    id: str | None = None
    start_after: datetime | None = None
    end_before: datetime | None = None
    time_zone: str | None = None
    misfire: MisfirePolicy | str = MisfirePolicy.FIRE_ONCE
    misfire_grace: Duration = timedelta(seconds=60)
    misfire_cap: int = 100
    catchup_window: Duration = timedelta(days=1)
    overlap: OverlapPolicy | str = OverlapPolicy.SKIP
    buffer_limit: int = 100
    jitter: Duration | None = None
    excluded_dates: Iterable[date | str] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A schedule that was checked and is not stored yet."""

    record: ScheduleRecord
    anchor: datetime | None
    """The anchor that the caller gave; else that of the stored schedule, or its creation."""


class ScheduleDesk:
    """Validates what callers ask for; every refusal comes before anything is written."""

    def __init__(self, desk: RequestDesk, clock: Callable[[], Clock], time_zone: str) -> None:
        self._desk = desk
        self._clock = clock
        self._zone = time_zone

    def draft(
        self,
        handler: HandlerReference,
        schedule: ScheduleExpression,
        data: Any,
        options: ScheduleOptions,
        job_options: JobOptions,
        profile_id: str | None = None,
    ) -> Draft:
        """Check everything; nothing is read or written. Raises what :meth:`Scheduler.recurring` raises."""
        new = self._desk.new_job(handler, data, job_options)
        now = self._clock().now()
        found = read(schedule, options.time_zone, self._zone, now)
        excluded = dates(options.excluded_dates)
        start, end = options.start_after, options.end_before
        start_after = None if start is None else aware_utc(start, "start_after")
        end_before = None if end is None else aware_utc(end, "end_before")
        if start_after is not None and end_before is not None and end_before <= start_after:
            raise ValueError("end_before must be later than start_after")
        if options.id is not None and (fault := check_schedule_id(options.id)):
            raise InvalidJob(fault)
        time_zone = found.time_zone
        if found.kind == "interval" and not excluded:
            time_zone = None
        record = ScheduleRecord(
            id=options.id or _derived_id(new, found, profile_id),
            definition_id=new.definition_id,
            kind=found.kind,
            expression=found.text,
            time_zone=time_zone,
            data=new.data,
            metadata=new.metadata,
            lane=new.lane,
            priority=new.priority,
            timeout=new.timeout,
            max_retries=new.max_retries,
            retry=new.retry,
            agent=new.agent,
            start_after=start_after,
            end_before=end_before,
            excluded_dates=excluded,
            misfire=member(MisfirePolicy, options.misfire, "misfire"),
            misfire_grace=as_timedelta(options.misfire_grace, "misfire_grace"),
            misfire_cap=checked_count(options.misfire_cap, "misfire_cap", 1, MOST_BACKFILLED),
            catchup_window=as_timedelta(options.catchup_window, "catchup_window"),
            overlap=member(OverlapPolicy, options.overlap, "overlap"),
            buffer_limit=checked_count(options.buffer_limit, "buffer_limit", 1, MOST_BACKFILLED),
            jitter=None if options.jitter is None else as_timedelta(options.jitter, "jitter") or None,
            profile_id=profile_id,
        )
        return Draft(record, found.anchor)


def declared(draft: Draft, existing: ScheduleRecord | None, now: datetime, runs: Runs) -> Decision | None:
    """How a schedule is stored that somebody declares now; ``None`` when it is stored just so."""
    wanted = draft.record
    if existing is not None and existing.profile_id != wanted.profile_id:
        raise ConfigurationError(_owned(wanted, existing))
    kept = existing is not None and existing.recurs_the_same(wanted)
    if draft.anchor is not None:
        anchor = draft.anchor
    else:
        anchor = existing.anchor if existing is not None and kept else now
    if wanted.kind != "interval":
        anchor = anchor.replace(microsecond=0)
    if existing is not None and existing.declares_the_same(wanted) and existing.anchor == anchor:
        return None
    record = replace(wanted, anchor=anchor, created_at=now, updated_at=now)
    if existing is None:
        return Decision(planned(record, now, now, runs))
    record = replace(
        record,
        created_at=existing.created_at,
        version=existing.version + 1,
        last_run_at=existing.last_run_at,
        skipped=existing.skipped,
        missed=existing.missed,
        missed_from=existing.missed_from,
        missed_to=existing.missed_to,
    )
    cursor = _cursor(existing, wanted, now) if kept and existing.anchor == anchor else now
    record = planned(record, cursor, now, runs)
    if existing.status is ScheduleStatus.PAUSED and existing.error is None:
        record = replace(record, status=ScheduleStatus.PAUSED, due_at=None)
    return Decision(record, rewrite=True)


def _cursor(existing: ScheduleRecord, wanted: ScheduleRecord, now: datetime) -> datetime:
    """From where a schedule is planned on whose occurrences stay, but for their bounds: what the new bounds
    let in of the time before is not made up for."""
    if existing.is_bounded_like(wanted):
        return existing.cursor_at
    owed = existing.next_run_at
    if existing.status is not ScheduleStatus.ENDED and owed is not None and owed <= now:
        return max(existing.cursor_at, owed - _TICK)
    return max(existing.cursor_at, now)


def planned(record: ScheduleRecord, cursor: datetime, now: datetime, runs: Runs) -> ScheduleRecord:
    """A schedule that is planned from ``cursor`` on."""
    next_at = recurrence_of(record).next_after(cursor)
    due_at = now if runs.waiting else next_at
    return replace(
        record,
        status=ScheduleStatus.ENDED if due_at is None else ScheduleStatus.ACTIVE,
        cursor_at=cursor,
        next_run_at=next_at,
        due_at=due_at,
        failures=0,
        error=None,
        zone_data=zone_data_version(),
    )


def _owned(wanted: ScheduleRecord, existing: ScheduleRecord) -> str:
    if existing.profile_id is None:
        return (
            f"schedule {wanted.id!r} of profile {wanted.profile_id!r} exists already, made by a call of "
            "recurring: give it another id, or cancel that one"
        )
    return (
        f"schedule {wanted.id!r} is declared in code by profile {existing.profile_id!r}: change it there, or "
        "give another id"
    )


def _derived_id(new: NewJob, found: Expression, profile_id: str | None) -> str:
    """The id of a schedule that was given none: the same for the same handler, expression and data. The zone
    of an interval is no part of it: it comes and goes with the holidays."""
    time_zone = None if found.kind == "interval" else found.time_zone
    text = json.dumps([new.definition_id, found.kind, found.text, time_zone, new.data, profile_id])
    return f"{new.definition_id}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_version(schedule_id: str, existing: ScheduleRecord | None, expected: int | None) -> None:
    if expected is None:
        return
    found = 0 if existing is None else existing.version
    if found != expected:
        shown = "does not exist" if existing is None else f"has version {found}"
        raise ConflictError(f"schedule {schedule_id!r} {shown}, not version {expected}: somebody changed it")


def member(kind: type[E], value: object, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise ValueError(f"{what} must be one of {known}, not {value!r}") from None


def checked_count(value: object, what: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value!r}")
    return value


def schedule_filter(status: object, definition_id: str | None, profile_id: str | None) -> ScheduleFilter:
    """A checked filter; ``ValueError`` (or ``InvalidJob``) names what is wrong."""
    for fault in (
        check_definition_id(definition_id) if definition_id is not None else None,
        check_schedule_id(profile_id, "profile id") if profile_id is not None else None,
    ):
        if fault is not None:
            raise InvalidJob(fault)
    wanted = None if status is None else member(ScheduleStatus, status, "status")
    return ScheduleFilter(wanted, definition_id, profile_id)
