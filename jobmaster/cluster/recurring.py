"""The scheduler's calls about schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from ..domain.durations import Duration
from ..domain.job import Job, Page
from ..domain.retry import RetryPolicy
from ..domain.schedule import MisfirePolicy, OverlapPolicy, Schedule, ScheduleStatus
from ..domain.status import Priority
from .boundedschedules import apart
from .drafts import ScheduleDesk, ScheduleOptions, schedule_filter
from .expressions import ScheduleExpression
from .requests import HandlerReference, JobOptions
from .timetable import Timetable

__all__ = ["RecurringMethods"]


class RecurringMethods:
    """The part of ``Scheduler`` that is about schedules."""

    _schedule_desk: ScheduleDesk
    _timetable: Timetable

    # -- declaring -------------------------------------------------------------------------------------

    def recurring(
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
        expected_version: int | None = None,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        agent_connection: str | None = None,
    ) -> Schedule:
        """Run a handler again and again. The same ``id`` again updates the schedule, or changes nothing.

        ``schedule`` is a cron expression, an RRULE, an interval, a natural expression, a ``timedelta`` or a
        recurrence. Without ``id`` one is derived from handler, expression and data, so that start-up code may
        call this on every deploy. Durations are ``timedelta`` or seconds.

        - ``start_after``, ``end_before`` (aware) and ``excluded_dates`` bound it; ``time_zone`` is the zone
          of an expression that names none, else the cluster's. A ``bounded(...)`` recurrence brings its own.
        - ``misfire`` says what becomes of occurrences later than ``misfire_grace``, no older than
          ``catchup_window``: ``"fire_once"``, ``"skip"`` or ``"fire_all"``, at most ``misfire_cap``.
        - ``overlap`` says what becomes of one while an earlier run is live: ``"skip"``, ``"buffer_one"``,
          ``"buffer_all"`` (at most ``buffer_limit``), ``"allow"`` or ``"cancel_other"``.
        - ``jitter`` delays the runs of this schedule by a fixed share of it.
        - ``expected_version``: raise ``ConflictError`` unless the stored schedule has this version; 0 means
          that there must be none.

        The other options are those of every job. Raises ``RecurrenceSyntaxError`` with the place of the
        fault, ``ValueError`` or ``InvalidJob`` for a wrong option, ``ConfigurationError`` when the id belongs
        to a schedule declared in code, ``ClusterArchived``.

        >>> scheduler.recurring(                                                  # doctest: +SKIP
        ...     "nightly-report", "every weekday at 18:00", time_zone="Europe/Paris", id="report"
        ... )
        """
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
            excluded_dates,
        )
        job_options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, agent_connection=agent_connection
        )
        expression, options = apart(schedule, options)
        draft = self._schedule_desk.draft(handler, expression, data, options, job_options)
        return self._timetable.put(draft, expected_version)

    async def recurring_async(
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
        expected_version: int | None = None,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        agent_connection: str | None = None,
    ) -> Schedule:
        """Async twin of :meth:`recurring`."""
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
            excluded_dates,
        )
        job_options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, agent_connection=agent_connection
        )
        expression, options = apart(schedule, options)
        draft = self._schedule_desk.draft(handler, expression, data, options, job_options)
        return await self._timetable.run(self._timetable.put, draft, expected_version)

    # -- changing --------------------------------------------------------------------------------------

    def pause_recurring(self, schedule_id: str) -> bool:
        """Plan no more occurrences until it is resumed; ``False`` when it is paused or has ended.

        What was made of it already runs, but for occurrences that wait for their turn: these go on when it
        is resumed. Raises ``ScheduleNotFound``, ``ClusterArchived``."""
        return self._timetable.pause(schedule_id)

    async def pause_recurring_async(self, schedule_id: str) -> bool:
        """Async twin of :meth:`pause_recurring`."""
        return await self._timetable.run(self._timetable.pause, schedule_id)

    def resume_recurring(self, schedule_id: str, *, catch_up: bool = False) -> bool:
        """Plan again; ``False`` when it is not paused. What fell in the pause is left out, unless
        ``catch_up`` leaves it to the misfire policy. Raises ``ScheduleNotFound``, ``ClusterArchived``."""
        return self._timetable.resume(schedule_id, catch_up)

    async def resume_recurring_async(self, schedule_id: str, *, catch_up: bool = False) -> bool:
        """Async twin of :meth:`resume_recurring`."""
        return await self._timetable.run(self._timetable.resume, schedule_id, catch_up)

    def cancel_recurring(self, schedule_id: str) -> bool:
        """Delete a schedule and its occurrences that have not started; ``False`` when there is none.

        Runs that have begun run on: cancel them with :meth:`cancel_job`. Raises ``ClusterArchived``."""
        return self._timetable.cancel(schedule_id)

    async def cancel_recurring_async(self, schedule_id: str) -> bool:
        """Async twin of :meth:`cancel_recurring`."""
        return await self._timetable.run(self._timetable.cancel, schedule_id)

    # -- runs out of turn ------------------------------------------------------------------------------

    def run_now(self, schedule_id: str) -> Job:
        """Run a schedule's handler once now, whatever is planned or live, paused or not.

        The job carries the ``schedule_id`` and no ``occurrence_at``. It is a live run to the overlap policy:
        while it runs, the next occurrence may be skipped, wait, or ask it to stop.
        Raises ``ScheduleNotFound``, ``ClusterArchived``."""
        return self._timetable.run_now(schedule_id)

    async def run_now_async(self, schedule_id: str) -> Job:
        """Async twin of :meth:`run_now`."""
        return await self._timetable.run(self._timetable.run_now, schedule_id)

    def backfill(
        self,
        schedule_id: str,
        start: datetime,
        end: datetime,
        *,
        overlap: OverlapPolicy | str | None = None,
    ) -> list[Job]:
        """Make the occurrences of a past stretch, from ``start`` up to but not including ``end`` (aware).

        Occurrences that were made before are left alone; the answer holds the new ones. Unless ``overlap``
        (by default the schedule's) allows them to run at once, they run one after the other; a schedule
        whose runs may overlap has them overlap here too. At most 10,000, from 1900 on. A schedule that counts
        from its anchor has none before it: give it a start, as ``every 5 minutes starting 2026-01-01``.
        Raises ``ScheduleNotFound``, ``ValueError``, ``ClusterArchived``."""
        return self._timetable.backfill(schedule_id, start, end, overlap)

    async def backfill_async(
        self,
        schedule_id: str,
        start: datetime,
        end: datetime,
        *,
        overlap: OverlapPolicy | str | None = None,
    ) -> list[Job]:
        """Async twin of :meth:`backfill`."""
        return await self._timetable.run(self._timetable.backfill, schedule_id, start, end, overlap)

    # -- looking ---------------------------------------------------------------------------------------

    def get_schedule(self, schedule_id: str) -> Schedule:
        """The schedule as it stands. Raises ``ScheduleNotFound``."""
        return self._timetable.get(schedule_id)

    async def get_schedule_async(self, schedule_id: str) -> Schedule:
        """Async twin of :meth:`get_schedule`."""
        return await self._timetable.run(self._timetable.get, schedule_id)

    def find_schedules(
        self,
        *,
        status: ScheduleStatus | str | None = None,
        definition_id: str | None = None,
        profile_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Schedule]:
        """Schedules that fit all filters, ordered by id, ``limit`` (1 to 1000) per page.

        Pass the page's ``next_cursor`` to get the next one."""
        criteria = schedule_filter(status, definition_id, profile_id)
        return self._timetable.find(criteria, limit, cursor)

    async def find_schedules_async(
        self,
        *,
        status: ScheduleStatus | str | None = None,
        definition_id: str | None = None,
        profile_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Schedule]:
        """Async twin of :meth:`find_schedules`."""
        criteria = schedule_filter(status, definition_id, profile_id)
        return await self._timetable.run(self._timetable.find, criteria, limit, cursor)

    def next_occurrences(
        self,
        schedule: Schedule | ScheduleExpression,
        count: int = 5,
        *,
        time_zone: str | None = None,
    ) -> list[datetime]:
        """The next ``count`` (1 to 1000) instants, in UTC, of a stored schedule or of an expression.

        A text is looked for among the ids first. Raises ``RecurrenceSyntaxError`` for one that is neither an
        id nor can be read, and ``ScheduleNotFound`` when it is a single word and no ``time_zone`` is given.

        >>> scheduler.next_occurrences("every weekday at 18:00", 3)               # doctest: +SKIP
        """
        return self._timetable.next_occurrences(schedule, count, time_zone)

    async def next_occurrences_async(
        self,
        schedule: Schedule | ScheduleExpression,
        count: int = 5,
        *,
        time_zone: str | None = None,
    ) -> list[datetime]:
        """Async twin of :meth:`next_occurrences`."""
        run = self._timetable.next_occurrences
        return await self._timetable.run(run, schedule, count, time_zone)
