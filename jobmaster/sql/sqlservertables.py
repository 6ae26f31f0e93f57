"""What SQL Server makes of the tables: types, filtered indexes, and DDL that may run twice.

Migrations call this too, so what it makes of a column that exists never changes; new columns are added here.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

__all__ = ["COLLATION", "SESSION", "adapt", "statements"]

COLLATION = "Latin1_General_100_BIN2"
"""Text compares by code, as on the other engines; every character fits, because columns are NVARCHAR."""

SESSION = (
    "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON"
)
"""What filtered indexes demand of every session that makes them or writes to their tables."""

_LENGTHS = {
    # An index needs a bound. Twice the longest that the library accepts: a character may be two units.
    "definition_id": 400,
    "schedule_id": 510,
    "profile_id": 510,
    "unique_key": 510,
    "name": 128,
    "worker_name": 128,
    "agent": 128,
    "agent_connection": 128,
    "lane": 128,
    "mode": 32,
    "status": 32,
    "outcome": 32,
}
"""Columns of text that are bounded; all others hold up to 2 GB."""


def adapt(metadata: sa.MetaData) -> None:
    """Give every column and index its form on SQL Server, and leave other engines alone."""
    for table in metadata.tables.values():
        _adapt_table(table)


def _adapt_table(table: sa.Table) -> None:
    for column in table.columns:
        if isinstance(column.type, sa.Text):
            native = sa.NVARCHAR(_LENGTHS.get(column.name), collation=COLLATION)
            column.type = column.type.with_variant(native, "mssql")
        elif isinstance(column.type, sa.LargeBinary):
            column.type = column.type.with_variant(sa.BINARY(column.type.length), "mssql")
    for index in sorted(table.indexes, key=lambda found: str(found.name)):
        options = index.dialect_options
        where = options["sqlite"]["where"]
        if where is not None:
            options["mssql"]["where"] = where
            if str(index.name).endswith("job_schedule"):
                # Two NULLs are the same to a unique index here, and runs by hand are no occurrences. That an
                # occurrence exists once is the primary key's business.
                index.unique = False
            # Else a condition IS NULL is checked in the row itself, one look-up for each entry.
            known = {column.name for column in index.columns}
            filtered = [name for name in ("bucket_id", "status") if name not in known and name in str(where)]
            options["mssql"]["include"] = filtered


def statements(table: sa.Table) -> Iterator[str]:
    """The statements that make a table and its indexes unless they are there."""
    from sqlalchemy.dialects import mssql

    dialect = mssql.dialect()  # type: ignore[no-untyped-call]
    name = dialect.identifier_preparer.format_table(table)
    create = str(CreateTable(table).compile(dialect=dialect)).strip()
    yield f"IF OBJECT_ID(N'{name}', N'U') IS NULL\n{create}"
    if table.name.endswith("job"):
        # A lock on the whole table, instead of many on rows, would stop every claim until the next commit.
        yield f"ALTER TABLE {name} SET (LOCK_ESCALATION = DISABLE)"
    for index in sorted(table.indexes, key=lambda found: str(found.name)):
        made = str(CreateIndex(index).compile(dialect=dialect)).strip()
        yield (
            f"IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'{index.name}' "
            f"AND object_id = OBJECT_ID(N'{name}'))\n{made}"
        )
