"""Where schedules are kept, and where their occurrences become jobs: on the master."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

from ..domain.job import NewJob
from ..domain.schedule import ScheduleFilter, ScheduleRecord

__all__ = ["PLANNERS", "Change", "Decide", "DecideOne", "Decision", "Planned", "Runs", "ScheduleStore"]

PLANNERS = "@schedules"
"""What listeners of the master hear, as if it were a lane, when a schedule was changed. No lane may be called
that."""


class Runs(NamedTuple):
    """The live jobs of a schedule: ``waiting`` for their turn, and all others.

    ``owed``: how many of those that wait make up for missed occurrences or were asked for by a backfill;
    counted where others that wait may be given up (``cancel_other``), else 0.
    """

    live: int
    waiting: int
    owed: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a schedule, and of its jobs, in one transaction.

    ``record``: how the schedule is stored from now on; ``None`` deletes it. ``jobs``: to be inserted; an id
    that exists, live or in history, is left alone. ``release``: so many that wait for their turn are due now,
    the oldest first. ``drop``: those that wait for their turn are deleted, but for those that are owed.
    ``withdraw``: all planned occurrences are deleted that wait here and were never started. ``rewrite``:
    these stay, with their ids and due times, and become what ``record`` says now. ``cancel``: live runs that
    are not owed are asked to stop, those held by a bucket of this store in the same transaction; the ids of
    the others, and of these once, are told, and have to be asked by whoever decides.
    """

    record: ScheduleRecord | None
    jobs: Sequence[NewJob] = ()
    release: int = 0
    drop: bool = False
    withdraw: bool = False
    rewrite: bool = False
    cancel: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What one pass over due schedules did."""

    now: datetime
    schedules: int
    """How many were looked at."""
    jobs: int
    """How many jobs were made or released."""
    cancel: tuple[UUID, ...]
    """Live runs that are to be cancelled."""
    more: bool
    """Whether others may be due."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of one schedule did."""

    now: datetime
    before: ScheduleRecord | None
    after: ScheduleRecord | None
    jobs: tuple[NewJob, ...] = ()
    """Those that were inserted."""
    left: tuple[UUID, ...] = ()
    """Live jobs of the schedule that were not deleted, when occurrences were withdrawn or runs are to be
    cancelled."""


Decide: TypeAlias = Callable[[ScheduleRecord, datetime, Runs], Decision | None]
"""Given a due schedule, the present and its live jobs. ``None``: leave it for the next pass. Pure: it may be
asked several times about one schedule."""
DecideOne: TypeAlias = Callable[[ScheduleRecord | None, datetime, Runs], Decision | None]
"""The same for one schedule, which may not exist; ``None`` changes nothing."""


class ScheduleStore(Protocol):
    """The schedules of a cluster. Any number of planners may work on one store at the same time."""

    @property
    def hears_all(self) -> bool:
        """Whether listeners of the master hear of changes that other processes make."""
        ...

    def look(self) -> tuple[datetime, datetime | None]:
        """The store's present, and the earliest instant at which a schedule is due; ``None`` without any.
        Costs the same however many schedules there are."""
        ...

    def plan(self, decide: Decide, limit: int) -> Planned:
        """Lock up to ``limit`` due schedules, earliest first, skipping those that another planner holds, and
        write down what is decided about each, with its jobs, in one transaction."""
        ...

    def change(self, schedule_id: str, decide: DecideOne) -> Change:
        """Lock one schedule and write down what is decided about it, with its jobs, in one transaction."""
        ...

    def get(self, schedule_id: str) -> ScheduleRecord | None:
        """The schedule, if there is one."""
        ...

    def find(self, criteria: ScheduleFilter, limit: int, after: str | None) -> list[ScheduleRecord]:
        """Schedules that fit, ordered by id, those after the id ``after``."""
        ...

    def profiles(self) -> frozenset[str]:
        """The profiles that have declared schedules."""
        ...

    def ids_of(self, profile_id: str) -> frozenset[str]:
        """The ids of the schedules that a profile declared."""
        ...

    def outdated(self, zone_data: str, limit: int, after: str | None) -> list[str]:
        """Ids, in order, of active schedules whose next occurrence was found by other tz data."""
        ...

    def live_jobs(self, schedule_id: str) -> list[UUID]:
        """The ids of the schedule's live jobs, those included that wait for their turn."""
        ...

    def prune(self, age: timedelta, limit: int) -> int:
        """Delete up to ``limit`` schedules that ended longer ago than ``age`` and that no profile declares;
        how many."""
        ...
