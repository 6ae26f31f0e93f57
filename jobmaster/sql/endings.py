"""The writes that end a job, give its claim up or note a run: rows for the bulk statements.

All of them act by id on rows that the same transaction has locked and found to be owned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.job import AttemptOutcome, JobError
from ..domain.status import JobStatus
from ..domain.verdict import AttemptRecord
from .gateway import Tx
from .jobrows import STATUS_CODE

__all__ = ["Writes"]

_NO_ERROR: tuple[None, None, None] = (None, None, None)


def _spread(error: JobError | None) -> tuple[str | None, str | None, str | None]:
    return _NO_ERROR if error is None else (error.type, error.message, error.traceback)


@dataclass(slots=True)
class Writes:
    """Collects what one transaction does to locked jobs, then writes it a statement per kind."""

    ends: list[tuple[Any, ...]] = field(default_factory=list)
    releases: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    lanes: set[str] = field(default_factory=set)

    def end(
        self,
        job_id: UUID,
        status: JobStatus,
        counters: tuple[int, int, int],
        finished_at: datetime,
        *,
        started_at: datetime | None = None,
        result: str | None = None,
        error: JobError | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Move the job to the history. ``counters``: attempt, failures, losses."""
        code = STATUS_CODE[status]
        row = (job_id, code, *counters, started_at, finished_at, result, *_spread(error), worker_id)
        self.ends.append(row)

    def cancel(
        self,
        job_id: UUID,
        reason: str | None,
        counters: tuple[int, int, int],
        now: datetime,
        *,
        started_at: datetime | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """End a job whose cancellation was asked for."""
        self.end(
            job_id,
            JobStatus.CANCELLED,
            counters,
            now,
            started_at=started_at,
            error=JobError("cancelled", reason or "cancelled"),
            worker_id=worker_id,
        )

    def release(
        self,
        job_id: UUID,
        counters: tuple[int, int, int],
        run_at: datetime | None,
        *,
        error: JobError | None = None,
        unknown_since: datetime | None = None,
        wake: str | None = None,
    ) -> None:
        """Let the job wait again; due when it was due with ``run_at`` ``None``. ``wake`` names its lane when
        it is due at once."""
        self.releases.append((job_id, *counters, run_at, unknown_since, *_spread(error)))
        if wake is not None:
            self.lanes.add(wake)

    def note(self, record: AttemptRecord) -> None:
        """Keep the record of a run."""
        self.attempts.append(
            (
                record.job_id,
                record.claim_no,
                record.number,
                record.started_at,
                record.finished_at,
                record.outcome.value,
                *_spread(record.error),
                record.worker_id,
                record.log,
            )
        )

    def note_mark(
        self, job_id: UUID, claim_no: int, number: int, outcome: AttemptOutcome, now: datetime
    ) -> None:
        """Keep the record of something that was not a run."""
        self.note(AttemptRecord(job_id, claim_no, number, None, now, outcome, None, None, None))

    def write(self, tx: Tx) -> None:
        """Write everything, and wake the lanes that got work."""
        tx.bulk("attempt", self.attempts)
        if self.attempts and (self.ends or self.releases):
            tx.reach("writes.between")
        tx.bulk("end", self.ends)
        tx.bulk("release", self.releases)
        if self.lanes:
            tx.dialect.notify(tx, self.lanes)
