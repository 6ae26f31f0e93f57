"""The tables, as the newest migration leaves them.

Ids are 16 bytes; instants are UTC with microseconds (``timestamptz``; elsewhere a number that counts
microseconds since 1970); ``data``, ``metadata``, ``result`` and ``retry`` are JSON text. What MySQL and SQL
Server get instead of open-ended text and partial indexes is said by :mod:`.mysqlddl` and
:mod:`.sqlservertables`.

``job.bucket_id`` is who holds the row: a bucket, or on the master the store id of the agent on which the job
lives. ``job.unsynced`` is 1 while the other side may not know: on an agent, the master has not heard of the
job; on the master, the agent that was given the job may not have it yet. New rows are therefore unsynced on
an agent, and on no other store.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["JOB_STORAGE", "Id", "Instant", "Tables", "from_micros", "to_micros"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exact."""
    since = instant - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(value: int) -> datetime:
    """The aware UTC instant of that many microseconds since 1970, exact."""
    return EPOCH + timedelta(0, 0, value)  # by place: twice as fast as by name


class Id(TypeDecorator[UUID]):
    """A UUID: the native type on PostgreSQL, 16 bytes elsewhere (``BINARY(16)`` on SQL Server)."""

    impl = sa.LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        if dialect.name == "mssql":
            return dialect.type_descriptor(sa.BINARY(16))
        return dialect.type_descriptor(sa.LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        if value is None or isinstance(value, UUID):
            return value
        return UUID(bytes=bytes(value))


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: ``timestamptz`` on PostgreSQL, microseconds since 1970 elsewhere."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        return dialect.type_descriptor(sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return from_micros(value)


JOB_STORAGE: dict[str, Any] = {
    # Every claim and every settle leaves a dead row behind: room on the page for the new version, and a
    # vacuum that comes early, keep the ready index short. Insert-driven vacuums find nothing to do here.
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_vacuum_cost_delay": 0,
    "autovacuum_analyze_scale_factor": 0.1,
    "autovacuum_vacuum_insert_threshold": -1,
}


def _facts() -> list[sa.Column[Any]]:
    """The columns that a live and a finished job share."""
    return [
        sa.Column("id", Id, primary_key=True),
        sa.Column("definition_id", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("run_at", Instant, nullable=False),
        sa.Column("enqueued_at", Instant, nullable=False),
        sa.Column("claim_no", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
        sa.Column("placement", sa.Integer, nullable=False, server_default="0"),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("timeout_ms", sa.BigInteger),
        sa.Column("max_retries", sa.Integer),
        sa.Column("retry", sa.Text),
        sa.Column("unique_key", sa.Text),
        sa.Column("schedule_id", sa.Text),
        sa.Column("occurrence_at", Instant),
        sa.Column("started_at", Instant),
        sa.Column("error_type", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("error_traceback", sa.Text),
    ]


@dataclass(frozen=True)
class Tables:
    """All tables of one prefix and schema."""

    metadata: sa.MetaData
    job: sa.Table
    bucket: sa.Table
    history: sa.Table
    attempt: sa.Table
    worker: sa.Table

    @classmethod
    @functools.lru_cache(maxsize=32)
    def of(cls, prefix: str, schema: str | None = None, *, agent: bool = False) -> Tables:
        """The tables called ``<prefix>job`` and so on, in ``schema`` where the engine has schemas; those of
        an agent, or of the master or a standalone database. Made once, for whoever asks the same again."""
        metadata = sa.MetaData(schema=schema)
        job = _job(metadata, prefix, agent)
        history = _history(metadata, prefix)
        bucket = sa.Table(
            f"{prefix}bucket",
            metadata,
            sa.Column("id", Id, primary_key=True),
            sa.Column("worker_id", Id, nullable=False),
            sa.Column("worker_name", sa.Text, nullable=False),
            sa.Column("lane", sa.Text, nullable=False),
            sa.Column("priority", sa.SmallInteger, nullable=False),
            sa.Column("mode", sa.Text, nullable=False),
            sa.Column("status", sa.Text, nullable=False),
            sa.Column("lease_until", Instant, nullable=False),
            postgresql_with={"fillfactor": 50},
            sqlite_with_rowid=False,
        )
        attempt = sa.Table(
            f"{prefix}attempt",
            metadata,
            sa.Column("job_id", Id, primary_key=True),
            sa.Column("claim_no", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("number", sa.Integer, nullable=False),
            sa.Column("started_at", Instant),
            sa.Column("finished_at", Instant),
            sa.Column("outcome", sa.Text, nullable=False),
            sa.Column("error_type", sa.Text),
            sa.Column("error_message", sa.Text),
            sa.Column("error_traceback", sa.Text),
            sa.Column("worker_id", Id),
            sa.Column("log", sa.Text),
            sqlite_with_rowid=False,
        )
        worker = sa.Table(
            f"{prefix}worker",
            metadata,
            sa.Column("id", Id, primary_key=True),
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("agent_connection", sa.Text, nullable=False),
            sa.Column("lane", sa.Text, nullable=False),
            sa.Column("mode", sa.Text, nullable=False),
            sa.Column("host", sa.Text, nullable=False),
            sa.Column("pid", sa.Integer, nullable=False),
            sa.Column("started_at", Instant, nullable=False),
            sa.Column("seen_at", Instant, nullable=False),
            sa.Column("alive_until", Instant, nullable=False),
            sa.Column("slots", sa.Integer, nullable=False),
            sa.Column("unknown_definitions", sa.Text, nullable=False, server_default="[]"),
            sa.Column("backlog", sa.Integer, nullable=False, server_default="0"),
            sqlite_with_rowid=False,
        )
        _registers(metadata, prefix)
        if not agent:
            _schedule(metadata, prefix)
        return cls(metadata, job, bucket, history, attempt, worker)


def _job(metadata: sa.MetaData, prefix: str, agent: bool) -> sa.Table:
    table = sa.Table(
        f"{prefix}job",
        metadata,
        *_facts(),
        sa.Column("bucket_id", Id),
        sa.Column("recheck", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("cancel_requested_at", Instant),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("unique_hash", sa.LargeBinary(32)),
        sa.Column("unknown_since", Instant),
        sa.Column("progress_fraction", sa.Double),
        sa.Column("progress_message", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("unsynced", sa.SmallInteger, nullable=False, server_default="1" if agent else "0"),
        postgresql_with=JOB_STORAGE,
        sqlite_with_rowid=False,
    )
    column = table.c
    _partial(f"{prefix}job_ready", column.bucket_id.is_(None), *[column[n] for n in _READY])
    _partial(f"{prefix}job_claimed", column.bucket_id.is_not(None), column.bucket_id)
    _partial(f"{prefix}job_unique", column.unique_hash.is_not(None), column.unique_hash, unique=True)
    _partial(f"{prefix}job_unsynced", column.unsynced == 1, column.id)
    if not agent:
        of_schedule = (column.schedule_id, column.occurrence_at)
        _partial(f"{prefix}job_schedule", column.schedule_id.is_not(None), *of_schedule, unique=True)
    return table


_READY = ("lane", "priority", "run_at", "id")


def _history(metadata: sa.MetaData, prefix: str) -> sa.Table:
    table = sa.Table(
        f"{prefix}history",
        metadata,
        *_facts(),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("finished_at", Instant, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("worker_id", Id),
        sa.Column("agent", sa.Text),
        sqlite_with_rowid=False,
    )
    column = table.c
    sa.Index(f"{prefix}history_finished", column.finished_at)
    # A plain success is in neither of these: looking for failures, or for the runs of one schedule, costs
    # the hot path nothing.
    _partial(f"{prefix}history_unsuccessful", column.status != 1, column.id)
    _partial(f"{prefix}history_schedule", column.schedule_id.is_not(None), column.schedule_id, column.id)
    return table


def _schedule(metadata: sa.MetaData, prefix: str) -> sa.Table:
    table = sa.Table(
        f"{prefix}schedule",
        metadata,
        sa.Column("schedule_id", sa.Text, primary_key=True),
        sa.Column("definition_id", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("expression", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("profile_id", sa.Text),
        sa.Column("anchor", Instant, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cursor_at", Instant, nullable=False),
        sa.Column("next_run_at", Instant),
        sa.Column("due_at", Instant),
        sa.Column("last_run_at", Instant),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("missed", sa.BigInteger, nullable=False),
        sa.Column("missed_from", Instant),
        sa.Column("missed_to", Instant),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("zone_data", sa.Text),
        postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.05},
        sqlite_with_rowid=False,
    )
    column = table.c
    _partial(f"{prefix}schedule_due", column.due_at.is_not(None), column.due_at, column.schedule_id)
    _partial(f"{prefix}schedule_profile", column.profile_id.is_not(None), column.profile_id)
    return table


def _partial(name: str, where: sa.ColumnElement[bool], *columns: Any, unique: bool = False) -> None:
    sa.Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


def _registers(metadata: sa.MetaData, prefix: str) -> None:
    sa.Table(
        f"{prefix}cluster",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("pinned", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        f"{prefix}meta",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    sa.Table(
        f"{prefix}agent",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("store_id", Id, nullable=False),
        sa.Column("added_at", Instant, nullable=False),
        sa.Column("draining", sa.SmallInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        f"{prefix}lease",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", Id, nullable=False),
        sa.Column("lease_until", Instant, nullable=False),
        sqlite_with_rowid=False,
    )
