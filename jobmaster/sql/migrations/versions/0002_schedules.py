"""Schedules, on the master and in a standalone database; agents have none."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from jobmaster.sql.tables import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    options = op.get_context().opts
    prefix, schema, meta = options["jobmaster_prefix"], options["jobmaster_schema"], options["jobmaster_meta"]
    if not options["jobmaster_agent"]:
        metadata = sa.MetaData(schema=schema)
        tables = [_schedule(metadata, prefix), _job(metadata, prefix)]
        match op.get_context().dialect.name:
            case "mysql":
                _upgrade_mysql(metadata, *tables)
            case "mssql":
                _upgrade_sqlserver(metadata, *tables)
            case _:
                op.execute(CreateTable(tables[0], if_not_exists=True))
                for table in tables:
                    for index in sorted(table.indexes, key=lambda found: str(found.name)):
                        op.execute(CreateIndex(index, if_not_exists=True))
    op.execute(f"UPDATE {meta} SET value = '2' WHERE name = 'schema'")


def _upgrade_mysql(metadata: sa.MetaData, schedule: sa.Table, job: sa.Table) -> None:
    from jobmaster.sql.mysqlddl import CreateWhole, adapt

    adapt(metadata)
    op.execute(CreateWhole(schedule))
    (index,) = job.indexes
    # Not every server knows IF NOT EXISTS here, and a migration that was cut short runs again.
    if op.get_context().as_sql or str(index.name) not in _indexes(job):
        op.execute(CreateIndex(index))


def _indexes(table: sa.Table) -> set[str]:
    found = sa.inspect(op.get_bind()).get_indexes(table.name, schema=table.schema)
    return {str(index["name"]) for index in found}


def _upgrade_sqlserver(metadata: sa.MetaData, schedule: sa.Table, job: sa.Table) -> None:
    from jobmaster.sql.sqlservertables import SESSION, adapt, statements

    adapt(metadata)
    op.execute(SESSION)
    for statement in statements(schedule):
        op.execute(statement)
    for statement in statements(job):
        if "CREATE TABLE" not in statement and "ALTER TABLE" not in statement:
            op.execute(statement)


def downgrade() -> None:
    """Refused: it would delete schedules."""
    raise RuntimeError("this migration is not undone: that would delete every schedule")


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


def _job(metadata: sa.MetaData, prefix: str) -> sa.Table:
    """The live jobs, as far as the new index needs them."""
    table = sa.Table(
        f"{prefix}job",
        metadata,
        sa.Column("schedule_id", sa.Text),
        sa.Column("occurrence_at", Instant),
    )
    column = table.c
    of_schedule = (column.schedule_id, column.occurrence_at)
    _partial(f"{prefix}job_schedule", column.schedule_id.is_not(None), *of_schedule, unique=True)
    return table


def _partial(name: str, where: sa.ColumnElement[bool], *columns: Any, unique: bool = False) -> None:
    sa.Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)
