"""Tells observers and waiters what happened."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from uuid import UUID

from ..domain.events import Event, JobFinished, JobWaitsAgain, Observer
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
        self._completions = completions
        self._logger = logger

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
                if change.job.id not in refused:
                    self.emit(_event_of(change))
        self._completions.ended(
            change.job.id for change in changes if change.status.is_final and change.job.id not in refused
        )


def _event_of(change: StateChange) -> Event:
    job = change.job
    if change.status.is_final:
        return JobFinished(
            job_id=job.id,
            definition_id=job.definition_id,
            lane=job.lane,
            status=change.status,
            attempt=change.attempt,
            started_at=change.started_at,
            finished_at=change.finished_at,
            error=change.error,
        )
    return JobWaitsAgain(
        job_id=job.id,
        definition_id=job.definition_id,
        lane=job.lane,
        status=change.status,
        attempt=change.attempt,
        delay=change.delay,
        error=change.error,
    )
