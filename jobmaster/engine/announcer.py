"""Tells observers and waiters what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set
from uuid import UUID

from ..domain.events import Event, JobFinished, JobRetrying, JobSnoozed, Observer
from ..domain.job import AttemptOutcome
from ..domain.verdict import StateChange
from .completions import Completions

__all__ = ["Announcer"]


class Announcer:
    """Passes domain events to the observers of one cluster. An observer that raises is logged and goes on
    being told; it never disturbs the work."""

    def __init__(
        self, observers: Sequence[Observer], completions: Completions, logger: logging.Logger
    ) -> None:
        self._observers = tuple(observers)
        self.heard = bool(self._observers)
        """Whether anybody listens."""
        self._completions = completions
        self._logger = logger
        self.on_run_ended: Callable[[set[str]], None] | None = None
        """Told the ids of schedules of which a run has ended in this process."""

    def emit(self, event: Event) -> None:
        """Tell every observer. From any thread."""
        for observer in self._observers:
            try:
                observer.on_event(event)
            except Exception:
                self._logger.exception("observer %r raised on %s", observer, type(event).__name__)

    def settled(self, changes: Sequence[StateChange], refused: Set[UUID]) -> None:
        """These verdicts are stored, but for the refused."""
        if self._observers:
            for change in changes:
                event = _event_of(change) if change.job.id not in refused else None
                if event is not None:
                    self.emit(event)
        if self.on_run_ended is not None:
            schedules = {
                change.job.schedule_id
                for change in changes
                if change.job.schedule_id is not None and change.status.is_final
            }
            if schedules:
                self.on_run_ended(schedules)
        self._completions.ended(
            change.job.id for change in changes if change.status.is_final and change.job.id not in refused
        )


def _event_of(change: StateChange) -> Event | None:
    """The event that a stored verdict is, if it is one: handing a job back is none."""
    job, record = change.job, change.record
    if change.status.is_final:
        started, finished = change.started_at, change.finished_at
        duration = finished - started if started is not None and finished is not None else None
        return JobFinished(
            job.id, job.definition_id, change.status, change.attempt, duration, change.error, change.worker_id
        )
    if record is None or change.delay is None:
        return None
    if record.outcome is AttemptOutcome.SNOOZED:
        return JobSnoozed(job.id, job.definition_id, change.attempt, change.delay)
    if record.outcome is AttemptOutcome.INTERRUPTED:
        return None
    return JobRetrying(
        job.id,
        job.definition_id,
        record.outcome,
        change.attempt,
        change.failures,
        change.delay,
        change.error,
    )
