"""``MasterStore`` in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ...domain.job import Attempt, AttemptOutcome, Job, JobFilter
from ...domain.status import JobStatus
from ...ports import ClusterSetting, QueueDepth, Tended, WorkerInfo
from .database import MemoryDatabase, Row
from .placements import MemoryPlacements

__all__ = ["MemoryMasterStore"]


class MemoryMasterStore(MemoryPlacements):
    """The master's side of a :class:`MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to release."""

    def now(self) -> datetime:
        return self._database.clock.now()

    # --- jobs ---------------------------------------------------------------------------------------

    def get_job(self, job_id: UUID) -> Job | None:
        database = self._database
        with database.lock:
            row = database.live.get(job_id) or database.history.get(job_id)
            return None if row is None else database.show(row)

    def find_jobs(
        self, criteria: JobFilter, limit: int, after: UUID | None, without: Collection[UUID] = ()
    ) -> list[Job]:
        with self._database.lock:
            found = [job for job in self._fitting(criteria, without) if after is None or job.id < after]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    def count_jobs(
        self, criteria: JobFilter, without: Collection[UUID] = (), excluding: Collection[UUID] = ()
    ) -> int:
        with self._database.lock:
            found = self._fitting(criteria, without)
            return len([job for job in found if not (job.status.is_final and job.id in excluding)])

    def ended(self, criteria: JobFilter, most: int) -> list[UUID]:
        with self._database.lock:
            jobs = map(self._database.show, self._database.history.values())
            return [job.id for job in jobs if _fits(job, criteria)][:most]

    def _fitting(self, criteria: JobFilter, without: Collection[UUID] = ()) -> list[Job]:
        database = self._database
        live = [row for row in database.live.values() if row.unsynced or row.bucket_id not in without]
        rows: list[Row] = [*live, *database.history.values()]
        return [job for job in map(database.show, rows) if _fits(job, criteria)]

    def finished(self, job_ids: Collection[UUID]) -> frozenset[UUID]:
        with self._database.lock:
            return frozenset(job_id for job_id in job_ids if job_id in self._database.history)

    def attempts(self, job_id: UUID) -> list[Attempt]:
        with self._database.lock:
            noted = self._database.attempts.get(job_id, {})
            found = [
                Attempt(r.number, r.started_at, r.finished_at, r.outcome, r.error, r.worker_id, r.log)
                for _, r in sorted(noted.items())
            ]
            row = self._database.history.get(job_id)
            if row is not None and row.status is JobStatus.SUCCEEDED and row.claim_no not in noted:
                outcome = AttemptOutcome.SUCCEEDED
                found.append(
                    Attempt(row.attempt, row.started_at, row.finished_at, outcome, worker_id=row.worker_id)
                )
            return found

    def depths(self, without: Collection[UUID] = ()) -> list[QueueDepth]:
        database = self._database
        with database.lock:
            groups: dict[tuple[str | None, str, int, JobStatus], list[Row]] = {}
            for row in database.live.values():
                if row.unsynced or row.bucket_id not in without:
                    place = (database.agent_of(row), row.new.lane, int(row.new.priority))
                    groups.setdefault((*place, database.status_of(row)), []).append(row)
            return [
                QueueDepth(*key, len(rows), min(row.run_at for row in rows)) for key, rows in groups.items()
            ]

    # --- workers ------------------------------------------------------------------------------------

    def tend_history(self, retention: timedelta | None) -> Tended:
        return Tended()

    def register_worker(self, worker: WorkerInfo, alive_for: timedelta) -> None:
        now = self.now()
        with self._database.lock:
            self._database.workers[worker.id] = (replace(worker, seen_at=now), now + alive_for)

    def see_worker(
        self,
        worker_id: UUID,
        unknown_definitions: Sequence[str],
        alive_for: timedelta,
        backlog: int = 0,
    ) -> bool:
        now = self.now()
        with self._database.lock:
            found = self._database.workers.get(worker_id)
            if found is None:
                return False
            unknown = tuple(unknown_definitions)
            seen = replace(found[0], seen_at=now, unknown_definitions=unknown, backlog=backlog)
            self._database.workers[worker_id] = (seen, now + alive_for)
            return True

    def forget_worker(self, worker_id: UUID) -> None:
        with self._database.lock:
            self._database.workers.pop(worker_id, None)

    def workers(self) -> list[WorkerInfo]:
        now = self.now()
        with self._database.lock:
            workers = self._database.workers
            for worker_id, (_, until) in list(workers.items()):
                if until < now - timedelta(days=1):
                    del workers[worker_id]
            shown = [replace(worker, alive=until > now) for worker, until in workers.values()]
        return sorted(shown, key=lambda worker: (worker.started_at, worker.id))

    # --- settings -----------------------------------------------------------------------------------

    def settings(self) -> Mapping[str, ClusterSetting]:
        with self._database.lock:
            return dict(self._database.settings)

    def declare_settings(self, declared: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        changes: list[tuple[str, Any, Any]] = []
        with self._database.lock:
            for name, value in declared.items():
                old = self._database.settings.get(name)
                if old is None or (not old.pinned and old.value != value):
                    self._set(name, value, pinned=False)
                    changes.append((name, None if old is None else old.value, value))
        return changes

    def pin_setting(self, name: str, value: Any) -> None:
        with self._database.lock:
            self._set(name, value, pinned=True)

    def unpin_setting(self, name: str) -> None:
        with self._database.lock:
            old = self._database.settings.get(name)
            if old is not None and old.pinned:
                self._set(name, old.value, pinned=False)

    def _set(self, name: str, value: Any, *, pinned: bool) -> None:
        old = self._database.settings.get(name)
        version = 1 if old is None else old.version + 1
        stored = json.loads(json.dumps(value))
        self._database.settings[name] = ClusterSetting(name, stored, pinned, version)


def _fits(job: Job, criteria: JobFilter) -> bool:
    return (
        (not criteria.status or job.status in criteria.status)
        and criteria.lane in (None, job.lane)
        and criteria.definition_id in (None, job.definition_id)
        and criteria.schedule_id in (None, job.schedule_id)
        and (criteria.scheduled_from is None or job.scheduled_at >= criteria.scheduled_from)
        and (criteria.scheduled_to is None or job.scheduled_at < criteria.scheduled_to)
        and all(k in job.metadata and _same(job.metadata[k], v) for k, v in criteria.metadata.items())
    )


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: ``true`` is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
