"""Enqueue with unique keys, as a conversation with a database that somebody else holds.

:func:`keyed_enqueue` is a generator: it yields statements and is sent their rows. The same code therefore
runs on connections of our own and on a caller's, sync or async.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from ..domain.job import NewJob
from ..errors import DuplicateJob, TransientStoreError
from ..ports.settlement import Keyed, OnConflict
from .dialect import Dialect
from .jobrows import live_job
from .newjobs import delay_micros, key_hash, millis

if TYPE_CHECKING:
    from .database import Database

__all__ = ["Conversation", "Step", "keyed_enqueue"]


@dataclass(frozen=True, slots=True)
class Step:
    """A statement by name, with its values. The answer is its rows."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


Rows: TypeAlias = Sequence[Sequence[Any]]
Conversation: TypeAlias = Generator[Step, Rows, list[Keyed]]

_ROUNDS = 5
"""Times that a key may be freed between our insert and our look for its holder."""


def keyed_enqueue(
    dialect: Dialect, jobs: Sequence[NewJob], on_conflict: OnConflict, seen_in: Database | None = None
) -> Conversation:
    """See :meth:`jobmaster.ports.Settlement.enqueue_keyed`.

    With ``seen_in``, the database, answers carry the jobs that were met as this very transaction sees them.
    """
    done: dict[UUID, Keyed] = {}
    first_of: dict[str, NewJob] = {}
    for job in jobs:
        if job.unique_key is not None:
            first_of.setdefault(job.unique_key, job)
    open_jobs = [job for job in jobs if job.unique_key is None or first_of[job.unique_key] is job]
    if not dialect.single_writer:
        # Two calls with some of the same keys wait for each other's rows: all of them take keys in one order.
        open_jobs.sort(key=_order)
    if on_conflict == "raise":
        yield from _refuse_taken(dialect, list(first_of.values()))
    for _ in range(_ROUNDS):
        yield from _insert(dialect, open_jobs, done)
        for job in open_jobs:
            if job.id not in done:
                met = yield from _meet(dialect, job, on_conflict)
                if met is not None:
                    done[job.id] = met
                    if on_conflict == "raise" and not met.inserted and job.unique_key is not None:
                        yield from _undo(done)
                        raise DuplicateJob(job.unique_key, met.job_id)
        open_jobs = [job for job in open_jobs if job.id not in done]
        if not open_jobs:
            if seen_in is not None:
                yield from _show(seen_in, done)
            return [_answer(job, first_of, done) for job in jobs]
    key = open_jobs[0].unique_key
    raise TransientStoreError(f"unique key {key!r} kept changing hands; try again")


def _order(job: NewJob) -> bytes:
    return b"" if job.unique_key is None else key_hash(job.unique_key)


def _answer(job: NewJob, first_of: dict[str, NewJob], done: dict[UUID, Keyed]) -> Keyed:
    first = job if job.unique_key is None else first_of[job.unique_key]
    found = done[first.id]
    return found if first is job else found._replace(inserted=False)


def _refuse_taken(dialect: Dialect, jobs: Sequence[NewJob]) -> Generator[Step, Rows, None]:
    for job in jobs:
        if job.unique_key is not None:
            rows = yield Step("key_holder", {"unique_hash": key_hash(job.unique_key)})
            if rows and dialect.uuid(rows[0][0]) != job.id:
                raise DuplicateJob(job.unique_key, dialect.uuid(rows[0][0]))


def _insert(dialect: Dialect, jobs: Sequence[NewJob], done: dict[UUID, Keyed]) -> Generator[Step, Rows, None]:
    for step in dialect.keyed_inserts(jobs):
        for row in (yield step):
            job_id = dialect.uuid(row[0])
            done[job_id] = Keyed(job_id, True, dialect.instant(row[1]), dialect.instant(row[2]))


def _meet(dialect: Dialect, job: NewJob, on_conflict: OnConflict) -> Generator[Step, Rows, Keyed | None]:
    """What stands in the way of a job that was not inserted; ``None`` when it is gone already."""
    by_id = yield Step("job_times", {"id": job.id})
    if by_id:
        # Stored before, by an earlier try of this very call whose answer was lost.
        return Keyed(job.id, True, dialect.instant(by_id[0][2]), dialect.instant(by_id[0][3]))
    if job.unique_key is None:
        return None
    key = {"unique_hash": key_hash(job.unique_key)}
    fresh = on_conflict == "replace" or dialect.reads_snapshots
    rows = yield Step("key_holder_lock" if fresh else "key_holder", key)
    if not rows:
        return None
    if on_conflict == "replace" and rows[0][1] is None:
        yield Step("job_replace", _replacement(job, dialect.uuid(rows[0][0])))
        rows = yield Step("key_holder", key)
    return Keyed(dialect.uuid(rows[0][0]), False, dialect.instant(rows[0][2]), dialect.instant(rows[0][3]))


def _show(database: Database, done: dict[UUID, Keyed]) -> Generator[Step, Rows, None]:
    for asked, keyed in done.items():
        if not keyed.inserted:
            rows = yield Step("job_show", {"id": keyed.job_id})
            if rows:
                done[asked] = keyed._replace(job=live_job(database, rows[0]))


def _undo(done: dict[UUID, Keyed]) -> Generator[Step, Rows, None]:
    for keyed in done.values():
        if keyed.inserted:
            yield Step("job_drop_one", {"id": keyed.job_id})


def _replacement(job: NewJob, holder: UUID) -> dict[str, Any]:
    return {
        "id": holder,
        "data": job.data,
        "metadata": job.metadata,
        "run_at": job.run_at,
        "delay": delay_micros(job.delay),
        "definition_id": job.definition_id,
        "lane": job.lane,
        "priority": int(job.priority),
        "timeout_ms": millis(job.timeout),
        "max_retries": job.max_retries,
        "retry": job.retry,
    }


def insert_values(job: NewJob) -> dict[str, Any]:
    """The values of one job for an insert with a key."""
    return {
        "id": job.id,
        "definition_id": job.definition_id,
        "lane": job.lane,
        "priority": int(job.priority),
        "run_at": job.run_at,
        "delay": delay_micros(job.delay),
        "data": job.data,
        "metadata": job.metadata,
        "timeout_ms": millis(job.timeout),
        "max_retries": job.max_retries,
        "retry": job.retry,
        "schedule_id": job.schedule_id,
        "occurrence_at": job.occurrence_at,
        "recheck": int(job.recheck),
        "unique_key": job.unique_key,
        "unique_hash": None if job.unique_key is None else key_hash(job.unique_key),
    }


def as_json(jobs: Sequence[NewJob]) -> str:
    """All of them as one JSON text, for engines that read rows out of JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, datetime):
            return value.isoformat()
        return value.hex() if isinstance(value, bytes) else value

    return json.dumps(
        [{name: plain(value) for name, value in insert_values(job).items()} for job in jobs],
        ensure_ascii=False,
    )
