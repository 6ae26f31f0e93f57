"""A history in parts on PostgreSQL: partitions by ranges of ids, each a table, and a default one.

``history_<part>`` is a partition; once it is detached it is a table by that name without a parent, which is
how the sweep finds it. Whoever uses a partition through the history holds a lock on the history first, so
that the locks here are taken in the same order: the history, waited for shortly, then the part, not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg import errors as pg
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from .dialect import Names
from .partitioning import Partitioning, Parts, RangeTaken
from .parts import REST, Part, end_of, first_id, name_of

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["PARTS", "PostgresPartitioning"]

PARTS = {
    "history_turn": "SELECT pg_try_advisory_xact_lock(:key)",
    "history_parts": """
SELECT c.relname, EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = h.oid)
FROM pg_class h
LEFT JOIN pg_class c ON c.relnamespace = h.relnamespace AND c.relkind = 'r'
  AND starts_with(c.relname, h.relname || '_p')
WHERE h.oid = to_regclass('{table:history}') AND h.relkind = 'p'
ORDER BY c.relname""",
}
"""Where the history is one table, the second gives no row."""

_PATIENCE = "SET LOCAL lock_timeout = '100ms'"
"""How long workers may wait behind somebody who waits for the history."""
_CONVERTING = "SET LOCAL lock_timeout = '2s'"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class PostgresPartitioning(Partitioning):
    """See the module."""

    envelope = ("BEGIN", "COMMIT")

    # --- conversion -----------------------------------------------------------------------------------

    def conversion_session(self, cursor: Any) -> None:
        cursor.execute(_CONVERTING)

    def conversion(self, names: Names, history: sa.Table, end: datetime) -> list[str]:
        whole, part, rest = names.table("history"), _table(names, end), names.table(f"history_{REST}")
        bare = f"{names.prefix}history_{name_of(end)}"
        inside = f"'{first_id(end)}'"
        indexes = sorted(history.indexes, key=lambda index: str(index.name))
        renamed = [f"{names.prefix}history_pkey", *(str(index.name) for index in indexes)]
        return [
            f"LOCK TABLE {whole} IN ACCESS EXCLUSIVE MODE",
            f"ALTER TABLE {whole} RENAME TO {names.quoted(bare)}",
            *(
                f"ALTER INDEX {_qualified(names, index)} RENAME TO {names.quoted(f'{bare}_{number}')}"
                for number, index in enumerate(renamed)
            ),
            f"CREATE TABLE {whole} (LIKE {part} INCLUDING DEFAULTS, PRIMARY KEY (id)) "
            "PARTITION BY RANGE (id)",
            *(str(CreateIndex(index).compile(dialect=_DIALECT)) for index in indexes),
            _rights(whole, part),
            f"CREATE TABLE {rest} PARTITION OF {whole} DEFAULT",
            f"INSERT INTO {rest} SELECT * FROM {part} WHERE id >= {inside}",
            f"DELETE FROM {part} WHERE id >= {inside}",
            f"ALTER TABLE {whole} ATTACH PARTITION {part} FOR VALUES FROM (MINVALUE) TO ({inside})",
        ]

    # --- upkeep ---------------------------------------------------------------------------------------

    def look(self, tx: Tx) -> Parts | None:
        rows = tx.rows("history_parts")
        if not rows:
            return None
        parts = Parts([], [])
        for name, attached in rows:
            end = None if name is None else end_of(name.removeprefix(f"{tx.names.prefix}history_"))
            if end is not None:
                (parts.inside if attached else parts.outside).append(end)
        return parts

    @contextmanager
    def turn(self, tx: Tx) -> Iterator[bool]:
        # until the transaction ends
        digest = hashlib.sha256(tx.names.table("history").encode()).digest()
        ((free,),) = tx.rows("history_turn", key=int.from_bytes(digest[:8], "big", signed=True))
        yield bool(free)

    def make(self, tx: Tx, part: Part) -> None:
        whole, new, rest = (
            tx.names.table("history"),
            _table(tx.names, part.end),
            tx.names.table(f"history_{REST}"),
        )
        low, high = first_id(part.begin), first_id(part.end)
        taken = f"SELECT 1 FROM {rest} WHERE id >= '{low}' AND id < '{high}' LIMIT 1"
        if _run(tx, taken).fetchall():
            raise RangeTaken
        _run(tx, _PATIENCE)
        _run(tx, f"CREATE TABLE {new} (LIKE {whole} INCLUDING DEFAULTS INCLUDING INDEXES)")
        try:
            _run(tx, f"ALTER TABLE {whole} ATTACH PARTITION {new} FOR VALUES FROM ('{low}') TO ('{high}')")
        except pg.CheckViolation:
            raise RangeTaken from None  # a job of this part has ended since the look

    def take_out(self, tx: Tx, end: datetime, age: int) -> None:
        whole, part, rest = (
            tx.names.table("history"),
            _table(tx.names, end),
            tx.names.table(f"history_{REST}"),
        )
        if not self._old(tx, part, age):
            return
        _run(tx, _PATIENCE)
        _run(tx, f"LOCK TABLE ONLY {whole} IN ACCESS EXCLUSIVE MODE")
        # Held by nobody now but a vacuum, or someone who reads past the history.
        _run(tx, f"LOCK TABLE {part}, {rest} IN ACCESS EXCLUSIVE MODE NOWAIT")
        if self._old(tx, part, age):
            _run(tx, f"ALTER TABLE {whole} DETACH PARTITION {part}")

    def _old(self, tx: Tx, part: str, age: int) -> bool:
        youngest = f"SELECT max(finished_at) <= {{now}} - {{span:age}} FROM {part}"
        ((old,),) = tx.query(youngest, age=age)
        return old is None or bool(old)

    def sweep(self, tx: Tx, end: datetime, limit: int) -> None:
        part, attempts = _table(tx.names, end), tx.names.table("attempt")
        # Questions about one row at a time, so that the plan goes through the attempts, which are few.
        doomed = f"""
SELECT a.ctid FROM {attempts} a
WHERE a.job_id >= (SELECT id FROM {part} ORDER BY id LIMIT 1)
  AND a.job_id <= (SELECT id FROM {part} ORDER BY id DESC LIMIT 1)
  AND (SELECT true FROM {part} p WHERE p.id = a.job_id)
LIMIT {limit:d}"""
        if _run(tx, f"DELETE FROM {attempts} WHERE ctid = ANY (ARRAY({doomed}))").rowcount < limit:
            _run(tx, f"DROP TABLE {part}")


def _table(names: Names, end: datetime) -> str:
    return names.table(f"history_{name_of(end)}")


def _qualified(names: Names, index: str) -> str:
    bare = names.quoted(index)
    return f"{names.quoted(names.schema)}.{bare}" if names.schema else bare


def _run(tx: Tx, sql: str) -> Any:
    """A statement about one part, which is not worth preparing."""
    return tx.cursor.execute(sql, prepare=False)


def _rights(whole: str, part: str) -> str:
    """Whoever owned the table, and might use it, still does."""
    return f"""DO $$
DECLARE given record;
BEGIN
  EXECUTE (SELECT format('ALTER TABLE %s OWNER TO %I', '{whole}', pg_get_userbyid(relowner))
           FROM pg_class WHERE oid = '{part}'::regclass);
  FOR given IN
    SELECT privilege_type, is_grantable, CASE grantee WHEN 0 THEN 'PUBLIC'
           ELSE quote_ident(pg_get_userbyid(grantee)) END AS name
    FROM pg_class, aclexplode(relacl) WHERE oid = '{part}'::regclass AND grantee <> relowner
  LOOP
    EXECUTE format('GRANT %s ON %s TO %s', given.privilege_type, '{whole}', given.name)
      || CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
  END LOOP;
END $$"""
