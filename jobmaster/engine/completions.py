"""Tells those who wait in this process that a job has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

__all__ = ["Completions"]


class Completions:
    """Call-backs by job id. Only a hint: waiters also look at the store, since jobs end elsewhere too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[UUID, list[Callable[[], None]]] = {}

    def watch(self, job_id: UUID, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` from any thread when the job ends here; returns the function that ends the watch."""
        with self._lock:
            self._watchers.setdefault(job_id, []).append(wake)

        def unwatch() -> None:
            with self._lock:
                watchers = self._watchers.get(job_id)
                if watchers is not None and wake in watchers:
                    watchers.remove(wake)
                    if not watchers:
                        del self._watchers[job_id]

        return unwatch

    def ended(self, job_ids: Iterable[UUID]) -> None:
        """These jobs have ended and that is stored."""
        if not self._watchers:
            return
        with self._lock:
            wakes = [wake for job_id in job_ids for wake in self._watchers.get(job_id, ())]
        for wake in wakes:
            wake()
