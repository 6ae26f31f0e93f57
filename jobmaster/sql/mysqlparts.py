"""A history in parts on MySQL and MariaDB: partitions by ranges of ids, the last of which takes the rest.

A partition that goes is exchanged with an empty table, ``history_<part>``, which is how the sweep finds it.
The ranges have no gaps: ids of parts that went belong to the oldest one left. That one is therefore left
where it is when it has been emptied, and takes the jobs that end late; it is merged with the next one once
that is emptied as well. DDL commits by itself, so the table is locked by ``LOCK TABLES`` while a part is
looked at and exchanged, and whoever died in between left a table or an empty partition, which the next pass
finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .partitioning import Partitioning, Parts
from .parts import REST, Part, end_of, first_id, name_of

if TYPE_CHECKING:
    from .dialect import Names
    from .gateway import Tx

__all__ = ["PARTS", "MySqlPartitioning"]

PARTS = {
    "history_turn": "SELECT GET_LOCK(:key, 0)",
    "history_turn_over": "SELECT RELEASE_LOCK(:key)",
    "history_parts": """
SELECT partition_name, 1 FROM information_schema.partitions
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = '{index:history}'
  AND partition_name IS NOT NULL
UNION ALL
SELECT table_name, 0 FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE())
  AND LEFT(table_name, LENGTH('{index:history}') + 2) = '{index:history}_p'
ORDER BY 1""",
}
_PATIENCE = 1
"""For so many seconds workers may wait behind who waits for the history; servers count in whole ones."""
_CONVERTING = "SET SESSION lock_wait_timeout = 2"
_FEW = 1000
"""So many rows are merged with a partition at a time when nobody else can use the table."""
_OLD = 5
"""So many emptied partitions may wait for the one before them to become small."""


class MySqlPartitioning(Partitioning):
    """See the module."""

    def conversion_session(self, cursor: Any) -> None:
        cursor.execute(_CONVERTING)

    def conversion(self, names: Names, history: sa.Table, end: datetime) -> list[str]:
        parts = f"{_range(end)}, PARTITION {REST} VALUES LESS THAN (MAXVALUE)"
        return [f"ALTER TABLE {names.table('history')} PARTITION BY RANGE COLUMNS (id) ({parts})"]

    # --- upkeep ---------------------------------------------------------------------------------------

    def look(self, tx: Tx) -> Parts | None:
        rows = tx.rows("history_parts", schema=tx.names.schema)
        if not any(attached for _, attached in rows):
            return None
        parts = Parts([], [])
        for name, attached in rows:
            end = end_of(name.removeprefix(f"{tx.names.prefix}history_"))
            if end is not None:
                (parts.inside if attached else parts.outside).append(end)
        return parts

    @contextmanager
    def turn(self, tx: Tx) -> Iterator[bool]:
        key = f"jobmaster {hashlib.sha256(tx.names.table('history').encode()).hexdigest()[:40]}"
        ((mine,),) = tx.rows("history_turn", key=key)
        try:
            yield mine == 1
        finally:
            if mine == 1 and tx.connection.open:
                tx.rows("history_turn_over", key=key)

    def make(self, tx: Tx, part: Part) -> None:
        history = tx.names.table("history")
        with _locked(tx, history):
            new = f"{_range(part.end)}, PARTITION {REST} VALUES LESS THAN (MAXVALUE)"
            tx.cursor.execute(f"ALTER TABLE {history} REORGANIZE PARTITION {REST} INTO ({new})")

    def take_out(self, tx: Tx, end: datetime, age: int) -> None:
        if not self._old(tx, name_of(end), age):
            return
        parts = self.look(tx)
        assert parts is not None
        older = [other for other in parts.inside if other < end]
        if self._rows(tx, end) > 0:
            self._exchange(tx, end, age)
        if older:
            self._merge(tx, older, end)

    def _exchange(self, tx: Tx, end: datetime, age: int) -> None:
        history, gone = tx.names.table("history"), _table(tx.names, end)
        tx.cursor.execute(f"CREATE TABLE {gone} LIKE {history}")
        tx.cursor.execute(f"ALTER TABLE {gone} REMOVE PARTITIONING")
        with _locked(tx, history, gone):
            if self._old(tx, name_of(end), age):
                tx.cursor.execute(
                    f"ALTER TABLE {history} EXCHANGE PARTITION {name_of(end)} WITH TABLE {gone}"
                )

    def _merge(self, tx: Tx, older: list[datetime], end: datetime) -> None:
        """Let the emptied part have the ids of the one before it, if that is small."""
        history = tx.names.table("history")
        if self._rows(tx, end) > _FEW:
            return
        if self._rows(tx, older[-1]) <= _FEW:
            names = f"{name_of(older[-1])}, {name_of(end)}"
            with _locked(tx, history):
                tx.cursor.execute(f"ALTER TABLE {history} REORGANIZE PARTITION {names} INTO ({_range(end)})")
        elif len(older) > _OLD:
            with _locked(tx, history):
                if self._rows(tx, end) == 0:
                    tx.cursor.execute(f"ALTER TABLE {history} DROP PARTITION {name_of(end)}")

    def _rows(self, tx: Tx, end: datetime) -> int:
        """How many rows a part has; no more than a few are counted."""
        some = f"SELECT id FROM {tx.names.table('history')} PARTITION ({name_of(end)}) LIMIT {_FEW + 1}"
        ((count,),) = tx.cursor.execute(f"SELECT count(*) FROM ({some}) AS some").fetchall()
        return int(count)

    def _old(self, tx: Tx, part: str, age: int) -> bool:
        youngest = (
            f"SELECT max(finished_at) <= {{now}} - {{span:age}} FROM {{table:history}} PARTITION ({part})"
        )
        ((old,),) = tx.query(youngest, age=age)
        return old is None or bool(old)

    def sweep(self, tx: Tx, end: datetime, limit: int) -> None:
        part, attempts = _table(tx.names, end), tx.names.table("attempt")
        ((least, most),) = tx.cursor.execute(f"SELECT min(id), max(id) FROM {part}").fetchall()
        if least is not None:
            doomed = f"""
DELETE FROM {attempts} WHERE job_id BETWEEN x'{least.hex()}' AND x'{most.hex()}'
  AND EXISTS (SELECT 1 FROM {part} p WHERE p.id = {attempts}.job_id) LIMIT {limit:d}"""
            tx.cursor.execute(doomed)
            if tx.cursor.rowcount >= limit:
                return
        tx.cursor.execute(f"DROP TABLE {part}")


def _range(end: datetime) -> str:
    return f"PARTITION {name_of(end)} VALUES LESS THAN (x'{first_id(end).hex}')"


def _table(names: Names, end: datetime) -> str:
    return names.table(f"history_{name_of(end)}")


@contextmanager
def _locked(tx: Tx, *tables: str) -> Iterator[None]:
    """Nobody else uses these tables; got within a second, or not at all."""
    cursor, connection = tx.cursor, tx.connection
    ((waits,),) = cursor.execute("SELECT @@lock_wait_timeout").fetchall()
    patience, connection._read_timeout = connection._read_timeout, None
    try:
        cursor.execute(f"SET SESSION lock_wait_timeout = {_PATIENCE}")
        cursor.execute("LOCK TABLES " + ", ".join(f"{table} WRITE" for table in tables))
        yield
    finally:
        connection._read_timeout = patience
        if connection.open:
            cursor.execute("UNLOCK TABLES")
            cursor.execute(f"SET SESSION lock_wait_timeout = {waits}")
