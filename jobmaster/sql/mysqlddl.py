"""Tables on MySQL and MariaDB: what they get where other engines have open-ended text and partial indexes.

:func:`adapt` changes freshly made ``Table`` objects; :class:`CreateWhole` makes one of them, indexes
included, in a single statement: DDL commits by itself here, and only ``CREATE TABLE`` knows ``IF NOT EXISTS``
on every server.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.elements import ColumnElement

from .tables import Id

__all__ = ["CreateWhole", "adapt"]

_LENGTHS = {
    "definition_id": 200,
    "lane": 64,
    "unique_key": 255,
    "schedule_id": 255,
    "profile_id": 255,
    "content_type": 255,
    "name": 64,
    "worker_name": 64,
    "agent_connection": 64,
    "agent": 64,
    "mode": 64,
    "status": 64,
    "outcome": 64,
    "host": 255,
}
"""Texts that are known to be short, in characters. Other texts in an index have ``_INDEXED``; the rest may be
as long as the server takes them."""
_INDEXED = 255

_INDEXES: dict[str, dict[str, tuple[str, ...] | None]] = {
    # One index for ready and for claimed rows: NULL is a value like any other to it. The claim reads the
    # rows of one lane and priority in order; the rows of one bucket are next to each other.
    "job": {
        "job_ready": ("bucket_id", "lane", "priority", "run_at", "id"),
        "job_claimed": None,
        "job_unsynced": ("unsynced", "id"),
    },
    "history": {"history_unsuccessful": ("status", "id")},
}
"""Columns of the indexes that are partial elsewhere; ``None``: there is none."""


def adapt(metadata: sa.MetaData) -> None:
    """Give all tables of ``metadata`` the column types, indexes and options that they have on MySQL.

    Text compares by its bytes (``utf8mb4_bin``), so case, accents and every character beyond the basic plane
    count.
    """
    for table in metadata.tables.values():
        options: Any = table.dialect_options["mysql"]
        options["engine"] = "InnoDB"
        options["charset"] = "utf8mb4"
        options["collate"] = "utf8mb4_bin"
        indexed = {column.name for index in table.indexes for column in index.columns}
        for column in table.columns:
            _adapt_column(column, column.primary_key or column.name in indexed)
        for name, changes in _INDEXES.items():
            if table.name.endswith(name):
                _adapt_indexes(table, table.name.removesuffix(name), changes)


def _adapt_column(column: sa.Column[Any], indexed: bool) -> None:
    kind = column.type
    if isinstance(kind, Id):
        column.type = sa.BINARY(16)
    elif isinstance(kind, sa.LargeBinary):
        column.type = mysql.LONGBLOB() if kind.length is None else sa.BINARY(kind.length)
    elif isinstance(kind, sa.Text):
        length = _LENGTHS.get(column.name, _INDEXED if indexed else None)
        column.type = mysql.LONGTEXT() if length is None else sa.VARCHAR(length)
        default = column.server_default
        if length is None and isinstance(default, sa.DefaultClause):
            column.server_default = sa.DefaultClause(sa.text(f"({_Literal.of(default)})"))


def _adapt_indexes(table: sa.Table, prefix: str, changes: dict[str, tuple[str, ...] | None]) -> None:
    for name, columns in changes.items():
        for index in [index for index in table.indexes if index.name == f"{prefix}{name}"]:
            table.indexes.discard(index)
            if columns is not None:
                sa.Index(index.name, *[table.c[column] for column in columns])


class _Literal:
    """A default as text: long texts may have one only as an expression."""

    @staticmethod
    def of(default: sa.DefaultClause) -> str:
        if isinstance(default.arg, ColumnElement):
            return str(default.arg)
        return "'" + str(default.arg).replace("'", "''") + "'"


class CreateWhole(CreateTable):
    """``CREATE TABLE IF NOT EXISTS`` with the indexes inside."""

    def __init__(self, table: sa.Table) -> None:
        super().__init__(table, if_not_exists=True)
        for index in sorted(table.indexes, key=lambda found: str(found.name)):
            table.append_constraint(_Inside(index))


class _Inside(sa.Constraint):
    """An index as part of its table's definition."""

    def __init__(self, index: sa.Index) -> None:
        super().__init__()
        self.index = index


@compiles(_Inside, "mysql")
def _write_inside(element: _Inside, compiler: Any, **_options: Any) -> str:
    quote = compiler.preparer.quote
    columns = ", ".join(quote(column.name) for column in element.index.columns)
    kind = "UNIQUE INDEX" if element.index.unique else "INDEX"
    return f"{kind} {quote(element.index.name)} ({columns})"
