"""The floor: the library's own statements straight through the driver on one connection.

Rows are prepared beforehand; each payload is decoded and a coroutine that does nothing is awaited for each
job; there is nothing else: no leases, no fences to check, no retries, no clocks, no scheduling. What the
library reaches of this is what its promises cost.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ...domain.ids import uuid7
from ...domain.job import DEFAULT_LANE
from ...domain.status import Priority
from ...sql.database import Database, open_database
from .jobs import CLUSTER_ID, NOTHING, payload

__all__ = ["Floor", "decode", "encode", "nothing", "open_floor"]

_LEASE = 3_600_000_000
"""Microseconds for which the floor's only bucket is valid: longer than any measurement."""
_EMPTY_PAUSE = 0.0005
"""Seconds to wait when a claim found nothing, because the producer is slower than the consumer."""
_DATA = 13
"""Place of the payload in a claimed row."""

try:
    import orjson
except ImportError:
    decode: Callable[[str | bytes], Any] = json.loads
else:
    decode = orjson.loads


async def nothing(data: object) -> None:
    """The handler of the floor."""


class Floor(ABC):
    """One connection that enqueues in bulk, or claims and settles."""

    def __init__(self, database: Database) -> None:
        self.database = database
        gateway = database.gateway
        self._texts = {name: text.sql for name, text in gateway.texts.all().items()}
        self._pooled = gateway.engine.raw_connection()
        self._raw: Any = self._pooled.driver_connection
        self._bucket = uuid4()
        gateway.transaction(
            "bench",
            lambda tx: tx.run(
                "bucket_open",
                id=self._bucket,
                worker_id=self._bucket,
                worker_name="floor",
                lane=DEFAULT_LANE,
                priority=int(Priority.MEDIUM),
                mode="full",
                lease=_LEASE,
            ),
        )

    def close(self) -> None:
        """Close the connection."""
        self._pooled.close()
        self.database.close()

    @abstractmethod
    def rows(self, first: int, count: int) -> list[Any]:
        """New jobs as the bulk statement takes them, but for the present time."""

    @abstractmethod
    def insert(self, rows: Sequence[Any]) -> None:
        """One transaction with the engine's fastest bulk statement."""

    @abstractmethod
    def turn(self, done: Sequence[Any], most: int) -> list[Any]:
        """One transaction: settle what was claimed before, claim up to ``most``; the rows."""

    def fill(self, count: int, batch: int) -> tuple[float, float]:
        """Enqueue ``count`` jobs; the time of day at which it began, and the seconds that it took."""
        batches = [self.rows(first, min(batch, count - first)) for first in range(0, count, batch)]
        began_at, began = time.time(), time.perf_counter()
        for rows in batches:
            self.insert(rows)
        return began_at, time.perf_counter() - began

    async def drain(self, count: int, batch: int) -> tuple[float, float]:
        """Run ``count`` jobs; the time of day when the first was claimed and when the last was settled."""
        claimed: list[Any] = []
        while not claimed:
            claimed = self.turn((), batch)
        began = time.time()
        left = count
        while True:
            for row in claimed:
                await nothing(decode(row[_DATA]))
            left -= len(claimed)
            if not claimed:
                await asyncio.sleep(_EMPTY_PAUSE)
            if left <= 0:
                self.turn(claimed, 0)
                return began, time.time()
            claimed = self.turn(claimed, batch)

    async def alternate(self, count: int, bulk: int, batch: int) -> float:
        """Enqueue and run ``count`` jobs on this one connection, in turn; the seconds that it took."""
        batches = [self.rows(first, min(bulk, count - first)) for first in range(0, count, bulk)]
        began = time.perf_counter()
        claimed: list[Any] = []
        for rows in batches:
            self.insert(rows)
            left = len(rows)
            while left > 0:
                claimed = self.turn(claimed, batch)
                for row in claimed:
                    await nothing(decode(row[_DATA]))
                left -= len(claimed)
        self.turn(claimed, 0)
        return time.perf_counter() - began

    def singles(self, seconds: float) -> tuple[int, float]:
        """Enqueue one job after the other; how many, and the seconds."""
        ready = self.rows(0, 2000)
        began = time.perf_counter()
        done = 0
        while time.perf_counter() - began < seconds and done < len(ready):
            self.insert_one(ready[done])
            done += 1
        return done, time.perf_counter() - began

    @abstractmethod
    def insert_one(self, row: Any) -> None:
        """One transaction with one job."""


def open_floor(url: str, table_prefix: str) -> Floor:
    """The floor of a database whose tables are there."""
    database = open_database(url, cluster_id=CLUSTER_ID, table_prefix=table_prefix)
    database.open()
    if database.dialect.url.kind == "sqlite":
        return _SqliteFloor(database)
    if database.dialect.url.kind == "mysql":
        from .mysqlfloor import MySqlFloor

        return MySqlFloor(database)
    return _postgres_floor(database)


class _SqliteFloor(Floor):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._cursor = self._raw.cursor()
        self._after: tuple[int, bytes] | None = None

    def rows(self, first: int, count: int) -> list[Any]:
        return [
            (
                uuid7().bytes,
                NOTHING,
                DEFAULT_LANE,
                int(Priority.MEDIUM),
                encode(payload(number)),
            )
            for number in range(first, first + count)
        ]

    def insert(self, rows: Sequence[Any]) -> None:
        now = time.time_ns() // 1000
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(
            self._texts["enqueue"],
            [
                (key, definition, lane, priority, now, now, data, None, None, None, None, None, None, 0)
                for key, definition, lane, priority, data in rows
            ],
        )
        cursor.execute("COMMIT")

    def insert_one(self, row: Any) -> None:
        self.insert((row,))

    def turn(self, done: Sequence[Any], most: int) -> list[Any]:
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        now = time.time_ns() // 1000
        bucket = self._bucket.bytes
        if done:
            given = {
                "facts": encode([(1, now, now, None, row[2]) for row in done]),
                "ids": bytes.fromhex("".join([row[0] for row in done])),
                "buckets": bucket * len(done),
                "worker_id": bucket,
            }
            cursor.execute(self._texts["succeed_all"], given)
            cursor.execute(self._texts["succeed_drop"], given)
        rows: list[Any] = []
        if most:
            ready: list[Any] = [DEFAULT_LANE, int(Priority.MEDIUM), now, *(self._after or ()), most]
            suffix = "" if self._after is None else "_after"
            rows = decode(cursor.execute(self._texts[f"ready{suffix}"], ready).fetchone()[0])
            cursor.execute(self._texts[f"claim{suffix}"], [bucket, *ready])
            self._after = (rows[-1][6], bytes.fromhex(rows[-1][0])) if len(rows) == most else None
        cursor.execute("COMMIT")
        return rows


def _postgres_floor(database: Database) -> Floor:
    """Its driver is imported only here."""
    from ...sql import pgarrays
    from ...sql.pgstatements import COPY

    class PostgresFloor(Floor):
        def __init__(self, database: Database) -> None:
            super().__init__(database)
            self._cursor, self._claiming = self._raw.cursor(), self._raw.cursor()
            self._after: tuple[datetime | None, UUID] = (None, UUID(int=0))

        def rows(self, first: int, count: int) -> list[Any]:
            return [(uuid7(), encode(payload(number))) for number in range(first, first + count)]

        def insert(self, rows: Sequence[Any]) -> None:
            now = datetime.now(UTC)
            priority = int(Priority.MEDIUM)
            self._cursor.execute("BEGIN")
            with self._cursor.copy(self._texts["copy"]) as copy:
                copy.set_types(list(COPY.values()))
                for key, data in rows:
                    copy.write_row(
                        (
                            key,
                            NOTHING,
                            DEFAULT_LANE,
                            priority,
                            now,
                            now,
                            data,
                            None,
                            None,
                            None,
                            None,
                            None,
                            None,
                        )
                    )
            self._cursor.execute("COMMIT")

        def insert_one(self, row: Any) -> None:
            one = [None]
            self._cursor.execute("BEGIN")
            self._cursor.execute(
                self._texts["enqueue"],
                {
                    "id": pgarrays.uuids([row[0]]),
                    "definition_id": pgarrays.texts([NOTHING]),
                    "lane": pgarrays.texts([DEFAULT_LANE]),
                    "priority": pgarrays.smallints([int(Priority.MEDIUM)]),
                    "run_at": pgarrays.instants(one),
                    "delay": pgarrays.bigints([0]),
                    "data": pgarrays.texts([row[1]]),
                    "metadata": pgarrays.texts(one),
                    "timeout_ms": pgarrays.bigints(one),
                    "max_retries": pgarrays.ints(one),
                    "retry": pgarrays.texts(one),
                    "schedule_id": pgarrays.texts(one),
                    "occurrence_at": pgarrays.instants(one),
                    "recheck": pgarrays.smallints([0]),
                    "channel": "nobody",
                    "lanes": [],
                },
            )
            self._cursor.execute("COMMIT")

        def turn(self, done: Sequence[Any], most: int) -> list[Any]:
            # in one trip, as the library does it
            self._cursor.execute("BEGIN")
            with self._raw.pipeline():
                if done:
                    self._settle(done)
                if most:
                    self._claim(most)
            rows = self._claiming.fetchall() if most else []
            self._cursor.execute("COMMIT")
            full = most and len(rows) == most
            self._after = (rows[-1][6], rows[-1][0]) if full else (None, UUID(int=0))
            return rows

        def _settle(self, done: Sequence[Any]) -> None:
            now = [datetime.now(UTC)] * len(done)
            self._cursor.execute(
                self._texts["succeed"],
                {
                    "id": pgarrays.uuids([row[0] for row in done]),
                    "bucket_id": pgarrays.uuids([self._bucket] * len(done)),
                    "claim_no": pgarrays.ints([row[2] for row in done]),
                    "attempt": pgarrays.ints([1] * len(done)),
                    "started_at": pgarrays.instants(now),
                    "finished_at": pgarrays.instants(now),
                    "result": pgarrays.texts([None] * len(done)),
                    "worker_id": pgarrays.uuids([self._bucket] * len(done)),
                },
                binary=True,
            )

        def _claim(self, most: int) -> None:
            self._claiming.execute(
                self._texts["claim"],
                {
                    "lane": DEFAULT_LANE,
                    "priority": pgarrays.smallints([int(Priority.MEDIUM)]),
                    "bucket": pgarrays.uuids([self._bucket]),
                    "count": pgarrays.ints([most]),
                    "after_at": pgarrays.cursors([self._after[0]]),
                    "after_id": pgarrays.uuids([self._after[1]]),
                    "buckets": 1,
                },
                binary=True,
            )

    return PostgresFloor(database)


def encode(data: object) -> str:
    """A payload as it is stored."""
    return json.dumps(data, separators=(",", ":"))
