"""What one database knows of jobs, as users ask for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from ..domain.job import Attempt, AttemptOutcome, Job, JobFilter
from ..domain.status import JobStatus
from ..ports.master import QueueDepth
from .database import Database
from .finding import count_jobs, ended_ids, find_jobs
from .gateway import Tx
from .jobrows import HISTORY_STATUS, attempt_of, finished_job, live_job, live_status

__all__ = ["SqlJobReader"]

T = TypeVar("T")
_STATE = {"assigned_to_bucket": JobStatus.ASSIGNED_TO_BUCKET, "processing": JobStatus.PROCESSING}


class SqlJobReader:
    """``JobReader`` on a :class:`~jobmaster.sql.Database` of any role.

    ``shown`` and ``outward`` convert what is read, for an agent whose clock is not the master's. A read is
    tried for ``timeout`` seconds, by default the operation timeout."""

    def __init__(
        self,
        database: Database,
        shown: Callable[[Job], Job] | None = None,
        timeout: float | None = None,
        outward: Callable[[datetime], datetime] = lambda instant: instant,
    ) -> None:
        self._database = database
        self._shown = shown
        self._outward = outward
        self._timeout = timeout

    def get_job(self, job_id: UUID) -> Job | None:
        database = self._database

        def work(tx: Tx) -> Job | None:
            # Twice, because a job may move from one table to the other between the looks.
            for _ in range(2):
                row = tx.row("job_find", id=job_id)
                if row is not None:
                    return self._as_shown(live_job(database, row))
                row = tx.row("history_find", id=job_id)
                if row is not None:
                    return self._as_shown(finished_job(database, row))
            return None

        return self._read("get_job", work)

    def find_jobs(
        self, criteria: JobFilter, limit: int, after: UUID | None, without: Collection[UUID] = ()
    ) -> list[Job]:
        found = find_jobs(self._database, criteria, limit, after, without, self._timeout)
        return found if self._shown is None else [self._shown(job) for job in found]

    def count_jobs(
        self, criteria: JobFilter, without: Collection[UUID] = (), excluding: Collection[UUID] = ()
    ) -> int:
        return count_jobs(self._database, criteria, without, excluding, self._timeout)

    def ended(self, criteria: JobFilter, most: int) -> list[UUID]:
        return ended_ids(self._database, criteria, most, self._timeout)

    def attempts(self, job_id: UUID) -> list[Attempt]:
        def work(tx: Tx) -> list[Attempt]:
            rows = tx.rows("attempts", id=job_id)
            found = [attempt_of(tx.dialect, row) for row in rows]
            last = tx.row("history_run", id=job_id)
            if last is not None and HISTORY_STATUS[last[0]] is JobStatus.SUCCEEDED:
                if all(row[9] != last[5] for row in rows):
                    instant = tx.dialect.instant
                    found.append(
                        Attempt(
                            last[1],
                            None if last[2] is None else instant(last[2]),
                            None if last[3] is None else instant(last[3]),
                            AttemptOutcome.SUCCEEDED,
                            worker_id=None if last[4] is None else tx.dialect.uuid(last[4]),
                        )
                    )
            return found

        return self._read("attempts", work)

    def depths(self, without: Collection[UUID] = ()) -> list[QueueDepth]:
        database = self._database
        instant = database.dialect.instant
        names: dict[str, UUID] = {}

        def work(tx: Tx) -> list[tuple[Any, ...]]:
            names.update({row[0]: tx.dialect.uuid(row[1]) for row in tx.rows("agent_list")})
            return tx.rows("depths")

        found = []
        for holder, lane, priority, state, unsynced, jobs, oldest in self._read("depths", work):
            if holder is not None and not unsynced and names.get(holder) in without:
                continue
            status = _STATE.get(state)
            if status is None:
                status = live_status(
                    database.role, False, holder is not None, False, state == "retrying", bool(unsynced)
                )
            agent = holder or database.agent_shown
            found.append(QueueDepth(agent, lane, priority, status, jobs, self._outward(instant(oldest))))
        return found

    def _as_shown(self, job: Job) -> Job:
        return job if self._shown is None else self._shown(job)

    def _read(self, what: str, work: Callable[[Tx], T]) -> T:
        return self._database.gateway.read(what, work, timeout=self._timeout)
