"""A recurring schedule: as users see it, as stores keep it, and the policies it goes by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from .job import DEFAULT_LANE
from .status import Priority

__all__ = [
    "DECLARED",
    "WAITS_ITS_TURN",
    "MisfirePolicy",
    "OverlapPolicy",
    "Schedule",
    "ScheduleFilter",
    "ScheduleRecord",
    "ScheduleStatus",
    "public",
]

WAITS_ITS_TURN = datetime(9999, 1, 1, tzinfo=UTC)
"""The due time of an occurrence that waits until an earlier run of its schedule has ended."""


class MisfirePolicy(str, Enum):  # noqa: UP042 - prints with its class
    """What becomes of occurrences that nobody planned in time: one run for all, none, or all of them."""

    FIRE_ONCE = "fire_once"
    SKIP = "skip"
    FIRE_ALL = "fire_all"


class OverlapPolicy(str, Enum):  # noqa: UP042 - prints with its class
    """What becomes of an occurrence that is due while an earlier run of its schedule is live."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    ALLOW = "allow"
    CANCEL_OTHER = "cancel_other"


class ScheduleStatus(str, Enum):  # noqa: UP042 - prints with its class
    """Active: planned. Paused: by somebody, or because its time zone vanished. Ended: nothing is to come."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring schedule as users see it: a snapshot, never updated in place.

    Instants are aware UTC. ``next_run_at`` is the next planned occurrence, ``last_run_at`` the last one of
    which a job was made. ``skipped`` counts occurrences that met a live run, ``missed`` those that were not
    run because nobody planned them in time. ``error`` says why it is not planned now, if it should be.
    """

    id: str
    definition_id: str
    expression: str
    kind: str
    time_zone: str | None
    status: ScheduleStatus
    next_run_at: datetime | None
    last_run_at: datetime | None
    version: int
    skipped: int
    profile_id: str | None
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    misfire: MisfirePolicy
    misfire_grace: timedelta
    misfire_cap: int
    catchup_window: timedelta
    overlap: OverlapPolicy
    buffer_limit: int
    jitter: timedelta | None
    start_after: datetime | None
    end_before: datetime | None
    excluded_dates: tuple[date, ...]
    anchor: datetime
    created_at: datetime
    updated_at: datetime
    missed: int
    missed_from: datetime | None
    missed_to: datetime | None
    error: str | None
    lane: str
    priority: Priority
    timeout: timedelta | None
    max_retries: int | None
    agent_connection: str | None


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedules ``find_schedules`` looks at; ``None`` means all."""

    status: ScheduleStatus | None = None
    definition_id: str | None = None
    profile_id: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as stores keep it. ``data``, ``metadata`` and ``retry`` are JSON text.

    The fields up to ``profile_id`` are what was declared, the others are kept by the planner.
    """

    id: str
    definition_id: str
    kind: str
    expression: str
    time_zone: str | None
    data: str
    metadata: str | None = None
    lane: str = DEFAULT_LANE
    priority: int = Priority.MEDIUM
    timeout: timedelta | None = None
    max_retries: int | None = None
    retry: str | None = None
    agent: str | None = None
    start_after: datetime | None = None
    end_before: datetime | None = None
    excluded_dates: tuple[date, ...] = ()
    misfire: MisfirePolicy = MisfirePolicy.FIRE_ONCE
    misfire_grace: timedelta = timedelta(seconds=60)
    misfire_cap: int = 100
    catchup_window: timedelta = timedelta(days=1)
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    buffer_limit: int = 100
    jitter: timedelta | None = None
    profile_id: str | None = None
    anchor: datetime = field(default=WAITS_ITS_TURN)
    created_at: datetime = field(default=WAITS_ITS_TURN)
    updated_at: datetime = field(default=WAITS_ITS_TURN)
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    version: int = 1
    cursor_at: datetime = field(default=WAITS_ITS_TURN)
    """Every occurrence up to here is decided."""
    next_run_at: datetime | None = None
    due_at: datetime | None = None
    """When a planner has to look at it; ``None``: not at all."""
    last_run_at: datetime | None = None
    skipped: int = 0
    missed: int = 0
    missed_from: datetime | None = None
    missed_to: datetime | None = None
    failures: int = 0
    """Tries in a row to plan it that failed."""
    error: str | None = None
    zone_data: str | None = None
    """The version of the tz data by which ``next_run_at`` was found."""

    def declares_the_same(self, other: ScheduleRecord) -> bool:
        """Whether both say the same, whatever became of them."""
        return all(getattr(self, name) == getattr(other, name) for name in DECLARED)

    def recurs_the_same(self, other: ScheduleRecord) -> bool:
        """Whether both have the same occurrences, counted from the same anchor, but for their bounds.

        The zone of an interval only says to which day an occurrence belongs.
        """
        if (self.kind, self.expression) != (other.kind, other.expression):
            return False
        return self.kind == "interval" or self.time_zone == other.time_zone

    def is_bounded_like(self, other: ScheduleRecord) -> bool:
        """Whether the same bounds and holidays hold for both."""
        return all(getattr(self, name) == getattr(other, name) for name in _BOUNDS)


_BOUNDS = ("time_zone", "start_after", "end_before", "excluded_dates")
DECLARED = (
    "definition_id",
    "kind",
    "expression",
    *_BOUNDS,
    "data",
    "metadata",
    "lane",
    "priority",
    "timeout",
    "max_retries",
    "retry",
    "agent",
    "misfire",
    "misfire_grace",
    "misfire_cap",
    "catchup_window",
    "overlap",
    "buffer_limit",
    "jitter",
    "profile_id",
)
"""The fields of a record that somebody declared, but for its id."""


def public(record: ScheduleRecord) -> Schedule:
    """The schedule as users see it."""
    return Schedule(
        id=record.id,
        definition_id=record.definition_id,
        expression=record.expression,
        kind=record.kind,
        time_zone=record.time_zone,
        status=record.status,
        next_run_at=record.next_run_at if record.status is ScheduleStatus.ACTIVE else None,
        last_run_at=record.last_run_at,
        version=record.version,
        skipped=record.skipped,
        profile_id=record.profile_id,
        data=json.loads(record.data),
        metadata={} if record.metadata is None else json.loads(record.metadata),
        misfire=record.misfire,
        misfire_grace=record.misfire_grace,
        misfire_cap=record.misfire_cap,
        catchup_window=record.catchup_window,
        overlap=record.overlap,
        buffer_limit=record.buffer_limit,
        jitter=record.jitter,
        start_after=record.start_after,
        end_before=record.end_before,
        excluded_dates=record.excluded_dates,
        anchor=record.anchor,
        created_at=record.created_at,
        updated_at=record.updated_at,
        missed=record.missed,
        missed_from=record.missed_from,
        missed_to=record.missed_to,
        error=record.error,
        lane=record.lane,
        priority=Priority(record.priority),
        timeout=record.timeout,
        max_retries=record.max_retries,
        agent_connection=record.agent,
    )
