"""The first tables.

Frozen from the first release on: later changes are migrations of their own, never edits of this one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from jobmaster.sql.tables import Id, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    options = op.get_context().opts
    prefix, schema = options["jobmaster_prefix"], options["jobmaster_schema"]
    metadata = sa.MetaData(schema=schema)
    agent, meta = options["jobmaster_agent"], options["jobmaster_meta"]
    tables = [_job(metadata, prefix, agent), _history(metadata, prefix), *_registers(metadata, prefix)]
    if op.get_context().dialect.name == "mysql":
        _upgrade_mysql(metadata, tables, meta)
        return
    if op.get_context().dialect.name == "mssql":
        _upgrade_sqlserver(metadata, tables, meta)
        return
    for table in tables:
        op.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda found: str(found.name)):
            op.execute(CreateIndex(index, if_not_exists=True))
    op.execute(f"INSERT INTO {meta} (name, value) VALUES ('schema', '1') ON CONFLICT DO NOTHING")


def _upgrade_mysql(metadata: sa.MetaData, tables: list[sa.Table], meta: str) -> None:
    from jobmaster.sql.mysqlddl import CreateWhole, adapt

    adapt(metadata)
    for table in tables:
        op.execute(CreateWhole(table))
    op.execute(f"INSERT INTO {meta} (name, value) VALUES ('schema', '1') ON DUPLICATE KEY UPDATE name = name")


def _upgrade_sqlserver(metadata: sa.MetaData, tables: list[sa.Table], meta: str) -> None:
    from jobmaster.sql.sqlservertables import SESSION, adapt, statements

    adapt(metadata)
    op.execute(SESSION)
    for table in tables:
        for statement in statements(table):
            op.execute(statement)
    version = f"SELECT 1 FROM {meta} WHERE name = 'schema'"
    op.execute(f"INSERT INTO {meta} (name, value) SELECT 'schema', '1' WHERE NOT EXISTS ({version})")


def downgrade() -> None:
    """Refused: it would delete jobs."""
    raise RuntimeError("the first migration is not undone: that would delete every job")


_STORAGE: dict[str, Any] = {
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
        postgresql_with=_STORAGE,
        sqlite_with_rowid=False,
    )
    column = table.c
    _partial(f"{prefix}job_ready", column.bucket_id.is_(None), *[column[n] for n in _READY])
    _partial(f"{prefix}job_claimed", column.bucket_id.is_not(None), column.bucket_id)
    _partial(f"{prefix}job_unique", column.unique_hash.is_not(None), column.unique_hash, unique=True)
    _partial(f"{prefix}job_unsynced", column.unsynced == 1, column.id)
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


def _partial(name: str, where: sa.ColumnElement[bool], *columns: Any, unique: bool = False) -> None:
    sa.Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


def _registers(metadata: sa.MetaData, prefix: str) -> list[sa.Table]:
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
    cluster = sa.Table(
        f"{prefix}cluster",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("pinned", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sqlite_with_rowid=False,
    )
    meta = sa.Table(
        f"{prefix}meta",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    agent = sa.Table(
        f"{prefix}agent",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("store_id", Id, nullable=False),
        sa.Column("added_at", Instant, nullable=False),
        sa.Column("draining", sa.SmallInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    lease = sa.Table(
        f"{prefix}lease",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", Id, nullable=False),
        sa.Column("lease_until", Instant, nullable=False),
        sqlite_with_rowid=False,
    )
    return [bucket, attempt, worker, cluster, agent, lease, meta]
