"""A cursor of pymysql for statements that are put together here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pymysql.cursors import Cursor
from pymysql.err import DataError

__all__ = ["MySqlCursor"]

_PACKET_TOO_LARGE = 1153


class MySqlCursor(Cursor):
    """Rows are tuples in a list, and a statement that the server would not take is refused before it is sent:
    the server cuts the connection in the middle of it, which looks like any other loss of a connection."""

    def execute(self, query: Any, args: object = None) -> Self:  # type: ignore[override]
        """Run a statement, with parameters when ``args`` are given; the cursor itself."""
        self._send(query if args is None else self._mogrify(query, args))  # type: ignore[attr-defined]
        return self

    def put(self, sql: str, texts: Mapping[str, str]) -> None:
        """Run a statement with ready pieces of SQL in place of its parameters."""
        self._send(sql % texts)

    def fetchall(self) -> list[Any]:  # type: ignore[override]
        """The rows left."""
        return list(super().fetchall() or ())

    def _send(self, sql: str) -> None:
        connection = self._get_db()  # type: ignore[attr-defined]
        raw = sql.encode()
        longest = longest_statement(connection)
        if len(raw) >= longest:
            raise DataError(
                _PACKET_TOO_LARGE,
                f"a statement of {len(raw)} bytes exceeds max_allowed_packet ({longest}) of the server",
            )
        self._query(raw)  # type: ignore[attr-defined]
        self._executed = raw


def longest_statement(connection: Any) -> int:
    """``max_allowed_packet`` of the server, asked once per connection."""
    known: int | None = getattr(connection, "jobmaster_longest", None)
    if known is None:
        cursor = Cursor(connection)
        cursor.execute("SELECT @@max_allowed_packet")
        row = cursor.fetchone()
        known = int(row[0]) if row else 0
        connection.jobmaster_longest = known
    return known
