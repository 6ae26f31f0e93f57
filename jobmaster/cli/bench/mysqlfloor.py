"""The floor on MySQL and MariaDB. Imported only when it is measured, for the sake of its driver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ...domain.ids import uuid7
from ...domain.job import DEFAULT_LANE
from ...domain.status import Priority
from ...sql.database import Database
from ...sql.mysqlcursor import MySqlCursor
from ...sql.mysqlnew import quoted
from ...sql.mysqlstatements import SUCCESS
from .floor import Floor, encode
from .jobs import NOTHING, payload

__all__ = ["MySqlFloor"]


class MySqlFloor(Floor):
    """One connection of pymysql, and statements with their rows already written into them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._cursor = MySqlCursor(self._raw)
        self._priority = str(int(Priority.MEDIUM))
        self._after: tuple[int, bytes] | None = None

    def rows(self, first: int, count: int) -> list[Any]:
        rows = []
        for number in range(first, first + count):
            data = quoted(encode(payload(number)))
            head = f"x'{uuid7().hex}', '{NOTHING}', '{DEFAULT_LANE}', {self._priority}"
            rows.append((head, f"{data}, NULL, NULL, NULL, NULL, NULL, NULL, 0"))
        return rows

    def insert(self, rows: Sequence[Any]) -> None:
        now = time.time_ns() // 1000
        self._raw.begin()
        text = ", ".join([f"({head}, {now}, {now}, {tail})" for head, tail in rows])
        self._cursor.put(self._texts["enqueue"], {"rows": text})
        self._raw.commit()

    def insert_one(self, row: Any) -> None:
        self.insert((row,))

    def turn(self, done: Sequence[Any], most: int) -> list[Any]:
        self._raw.begin()
        if done:
            self._settle(done)
        rows = self._claim(most) if most else []
        self._raw.commit()
        self._after = (rows[-1][6], rows[-1][0]) if most and len(rows) == most else None
        return rows

    def _settle(self, done: Sequence[Any]) -> None:
        now = time.time_ns() // 1000
        ids = [f"x'{row[0].hex()}'" for row in done]
        named = zip(SUCCESS, self._end(ids[0], now), strict=True)
        first = ", ".join(f"{value} AS {name}" for name, value in named)
        selects = [f"SELECT {first}", *[", ".join(self._end(key, now)) for key in ids[1:]]]
        self._cursor.put(self._texts["succeed"], {"rows": " UNION ALL SELECT ".join(selects)})
        self._cursor.put(self._texts["gone"], {"ids": ", ".join(ids)})

    def _end(self, key: str, now: int) -> tuple[str, ...]:
        bucket = f"x'{self._bucket.hex}'"
        return key, bucket, "1", "1", str(now), str(now), "NULL", bucket

    def _claim(self, most: int) -> list[Any]:
        given = {"lane": f"'{DEFAULT_LANE}'", "priority": self._priority, "count": str(most)}
        if self._after is None:
            text = self._texts["claim_part"]
        else:
            given |= {"after_at": str(self._after[0]), "after_id": f"x'{self._after[1].hex()}'"}
            text = self._texts["claim_part_after"]
        self._cursor.put(text, given)
        rows = self._cursor.fetchall()
        if rows:
            ids = ", ".join([f"x'{row[0].hex()}'" for row in rows])
            cases = f"WHEN {self._priority} THEN x'{self._bucket.hex}'"
            self._cursor.put(self._texts["claim"], {"cases": cases, "ids": ids})
        return rows
