"""Schedules that are declared in code, and follow it: created, updated and retired at every start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from ..domain.durations import Duration
from ..domain.names import check_schedule_id
from ..domain.retry import RetryPolicy
from ..domain.schedule import MisfirePolicy, OverlapPolicy
from ..domain.status import Priority
from ..engine.clock import SystemClock
from ..errors import JobMasterError
from ..handlers import HandlerRegistry
from .boundedschedules import apart
from .drafts import Draft, ScheduleDesk, ScheduleOptions
from .expressions import ScheduleExpression
from .requests import HandlerReference, JobOptions, RequestDesk

__all__ = ["ScheduleCollection", "StaticProfile", "StaticSchedules", "static_profiles", "way_out"]

_OF_HANDLERS = "handler:"


@dataclass(frozen=True, slots=True)
class StaticProfile:
    """What one profile declares now. ``retires``: it declares nothing any more, if it ever did."""

    id: str
    drafts: tuple[Draft, ...]

    @property
    def retires(self) -> bool:
        """Whether it only takes back what it declared before."""
        return not self.drafts


@dataclass(frozen=True, slots=True)
class _Entry:
    handler: HandlerReference
    schedule: ScheduleExpression
    data: Any
    options: ScheduleOptions
    job_options: JobOptions


class ScheduleCollection:
    """Takes the schedules of one profile."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(
        self,
        handler: HandlerReference,
        schedule: ScheduleExpression,
        data: Any = None,
        *,
        id: str | None = None,
        start_after: datetime | None = None,
        end_before: datetime | None = None,
        time_zone: str | None = None,
        misfire: MisfirePolicy | str = MisfirePolicy.FIRE_ONCE,
        misfire_grace: Duration = timedelta(seconds=60),
        misfire_cap: int = 100,
        catchup_window: Duration = timedelta(days=1),
        overlap: OverlapPolicy | str = OverlapPolicy.SKIP,
        buffer_limit: int = 100,
        jitter: Duration | None = None,
        excluded_dates: Iterable[date | str] = (),
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        agent_connection: str | None = None,
    ) -> None:
        """Declare a schedule; the options are those of :meth:`Scheduler.recurring`. Faults are told by
        ``build()``. Without ``id`` one is derived from profile, handler, expression and data."""
        options = ScheduleOptions(
            id,
            start_after,
            end_before,
            time_zone,
            misfire,
            misfire_grace,
            misfire_cap,
            catchup_window,
            overlap,
            buffer_limit,
            jitter,
            excluded_dates
            if isinstance(excluded_dates, str) or not isinstance(excluded_dates, Iterable)
            else tuple(excluded_dates),
        )
        job_options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, agent_connection=agent_connection
        )
        self._entries.append(_Entry(handler, schedule, data, options, job_options))


class StaticSchedules(ABC):
    """A set of schedules that belongs to the code which declares it.

    When a cluster with it starts, its schedules are created or updated, and those that the same
    ``profile_id`` declared before and declares no more are deleted, with their planned occurrences.
    Schedules of other profiles, and those made by ``recurring``, are left alone. A profile that was renamed
    or removed, also that of a handler (``handler:`` and its definition id), is retired by declaring it once
    more without schedules.

    >>> class Maintenance(StaticSchedules, profile_id="maintenance"):             # doctest: +SKIP
    ...     def configure(self, schedules: ScheduleCollection) -> None:
    ...         schedules.add(CleanupHandler, timedelta(days=1))
    ...         schedules.add(SyncHandler, "every 1 hour between 09:00 and 18:00", id="hourly-sync")
    """

    profile_id: ClassVar[str | None] = None

    def __init_subclass__(cls, *, profile_id: str | None = None) -> None:
        super().__init_subclass__()
        if profile_id is not None:
            cls.profile_id = profile_id

    @abstractmethod
    def configure(self, schedules: ScheduleCollection) -> None:
        """Add the schedules; called once by ``build()``."""


def static_profiles(
    given: Sequence[object], registry: HandlerRegistry, desk: RequestDesk, time_zone: str
) -> tuple[tuple[StaticProfile, ...], list[str]]:
    """The profiles given, and those of handlers; and what is wrong with them, a sentence each."""
    clock = SystemClock()
    schedules = ScheduleDesk(desk, lambda: clock, time_zone)
    found: dict[str, StaticProfile] = {}
    problems: list[str] = []
    for one in given:
        shown, profile_id, entries, faults = _configured(one, registry)
        problems += faults
        if profile_id is None:
            continue
        if profile_id in found:
            problems.append(f"two static schedules have the profile_id {profile_id!r}")
            continue
        profile, faults = _profile(schedules, profile_id, entries)
        problems += [f"{shown}: {fault}" for fault in faults]
        found[profile_id] = profile
    for bound in registry:
        own_id = f"{_OF_HANDLERS}{bound.definition_id}"
        given_here = bound.schedules
        of_handler = [
            _Entry(bound.definition_id, one, None, ScheduleOptions(), JobOptions()) for one in given_here
        ]
        profile, faults = _profile(schedules, own_id, of_handler)
        problems += [f"handler {bound.definition_id}: {fault}" for fault in faults]
        found[own_id] = profile
    ids = [draft.record.id for profile in found.values() for draft in profile.drafts]
    for twice in sorted({schedule_id for schedule_id in ids if ids.count(schedule_id) > 1}):
        problems.append(f"two static schedules have the id {twice!r}")
    return tuple(found.values()), problems


def way_out(profile_id: str, schedule_id: str) -> str:
    """What to do about a schedule of a profile that this cluster does not declare."""
    return (
        f"If there is no profile {profile_id!r} any more, retire it: declare it once without schedules, "
        f"beside the others, or call cancel_recurring({schedule_id!r}), or run jobmaster schedules cancel"
    )


def _configured(one: object, registry: HandlerRegistry) -> tuple[str, str | None, list[_Entry], list[str]]:
    shown = type(one).__name__
    if not isinstance(one, StaticSchedules):
        return shown, None, [], [f"add_static_schedules takes StaticSchedules objects, not {one!r}"]
    if one.profile_id is None:
        missing = f'{shown} has no profile_id: class {shown}(StaticSchedules, profile_id="...")'
        return shown, None, [], [missing]
    if fault := check_schedule_id(one.profile_id, "profile_id"):
        return shown, None, [], [f"{shown}: {fault}"]
    collection = ScheduleCollection()
    try:
        one.configure(collection)
    except Exception as fault:
        # whatever the code of the profile raises: build() tells it beside all other faults
        return shown, None, [], [f"{shown}: configure() raised {type(fault).__name__}: {fault}"]
    if one.profile_id.startswith(_OF_HANDLERS):
        handlers = {f"{_OF_HANDLERS}{bound.definition_id}" for bound in registry}
        if collection._entries or one.profile_id in handlers:
            reserved = (
                f"{shown}: a profile_id that begins with {_OF_HANDLERS!r} is that of a handler's schedule=; "
                "it may be declared only to retire those of a handler that is no more, without schedules"
            )
            return shown, None, [], [reserved]
    return shown, one.profile_id, collection._entries, []


def _profile(
    schedules: ScheduleDesk, profile_id: str, entries: Sequence[_Entry]
) -> tuple[StaticProfile, list[str]]:
    drafts: list[Draft] = []
    faults: list[str] = []
    for number, entry in enumerate(entries, start=1):
        shown = f"schedule {entry.options.id!r}" if entry.options.id else f"schedule {number}"
        try:
            expression, options = apart(entry.schedule, entry.options)
            drafts.append(
                schedules.draft(entry.handler, expression, entry.data, options, entry.job_options, profile_id)
            )
        except (JobMasterError, ValueError, TypeError) as fault:
            faults.append(f"{shown}: {fault}")
        except Exception as fault:
            # what an object that was given raises is told with the schedule too
            faults.append(f"{shown}: {type(fault).__name__}: {fault}")
    return StaticProfile(profile_id, tuple(drafts)), faults
