"""The floor of NATS: publish, fetch and acknowledge with the client library, and nothing else.

Each payload is decoded and a coroutine that does nothing is awaited for each job, as on the other floors. An
agent also tells its master how each job ended: ``recorded`` drains do that too, a batch at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import nats
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import RetentionPolicy, StorageType
from nats.js.errors import BadRequestError

from ...agents.nats.loopthread import LoopThread
from ...agents.nats.options import NatsOptions
from ...domain.ids import uuid7
from ...domain.job import DEFAULT_LANE
from ...domain.status import Priority
from ...sql.database import open_database
from .floor import decode, encode, nothing
from .jobs import AGENT, CLUSTER_ID, NOTHING, payload

__all__ = ["FLOOR_STREAM", "NatsFloor"]

T = TypeVar("T")
FLOOR_STREAM = "bench-floor"
_CONSUMER = "floor"
_SUCCEEDED = 1


class NatsFloor:
    """One connection to one stream with one subject and one durable consumer, and one to the master."""

    def __init__(self, url: str, table_prefix: str, master: str) -> None:
        self._master = open_database(master, cluster_id=CLUSTER_ID, table_prefix=table_prefix)
        self._master.open()
        self._worker = uuid4()
        self._servers = NatsOptions(url)
        prefix = table_prefix.strip("_")
        self._stream = f"{prefix}-{FLOOR_STREAM}"
        self._subject = f"{prefix}.{FLOOR_STREAM}"
        self._ended = f"{self._subject}.ended"
        self._loop = LoopThread("floor")
        self._client: Any = None
        self._context: Any = None
        self._subscription: Any = None
        self._loop.run(self._open())

    async def _open(self) -> None:
        self._client = await nats.connect(self._servers.servers, **self._servers.for_client())
        self._context = self._client.jetstream(publish_async_max_pending=4000)
        try:
            await self._context.add_stream(
                name=self._stream,
                subjects=[self._subject, self._ended],
                retention=RetentionPolicy.WORK_QUEUE,
                storage=StorageType.FILE,
            )
        except BadRequestError as fault:
            # the other process of this floor has just made it
            if "already in use" not in str(fault):
                raise
        self._subscription = await self._context.pull_subscribe(self._subject, _CONSUMER, self._stream)

    def close(self) -> None:
        """Disconnect."""
        self._master.close()
        self._loop.run(self._client.close())
        self._loop.close()

    def fill(self, count: int, batch: int) -> tuple[float, float]:
        """See :meth:`.floor.Floor.fill`."""
        bodies = [encode(payload(number)).encode() for number in range(count)]
        began_at, began = time.time(), time.perf_counter()
        for first in range(0, count, batch):
            self._loop.run(self._publish(bodies[first : first + batch]))
        return began_at, time.perf_counter() - began

    async def _publish(self, bodies: list[bytes]) -> None:
        for body in bodies:
            await self._context.publish_async(self._subject, body)
        await self._context.publish_async_completed()

    async def drain(self, count: int, batch: int, recorded: bool = False) -> tuple[float, float]:
        """See :meth:`.floor.Floor.drain`. ``recorded``: before a batch is acknowledged it is stored as one
        message of outcomes, and while the next one comes it is inserted into the master's history."""
        return await asyncio.to_thread(self._in_loop, self._drain(count, batch, recorded))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    async def _drain(self, count: int, batch: int, recorded: bool = False) -> tuple[float, float]:
        began, left = 0.0, count
        telling: asyncio.Task[None] | None = None
        while left > 0:
            try:
                messages = await self._subscription.fetch(min(batch, left), timeout=1)
            except NatsTimeout:
                continue
            began = began or time.time()
            for message in messages:
                await nothing(decode(message.data))
            if recorded:
                rows = self._rows([message.data.decode() for message in messages])
                outcomes = await self._context.publish(
                    self._ended, encode([row[11] for row in rows]).encode()
                )
            for message in messages:
                await message.ack()
            left -= len(messages)
            if recorded:
                if telling is not None:
                    await telling
                telling = asyncio.create_task(self._tell(rows, outcomes.seq))
        if telling is not None:
            await telling
        await self._client.flush()
        return began, time.time()

    def _rows(self, bodies: Sequence[str]) -> list[tuple[Any, ...]]:
        """Rows of the history for jobs that have succeeded."""
        now = datetime.now(UTC)
        head = (NOTHING, DEFAULT_LANE, int(Priority.MEDIUM), now, now, 1, 1, 0, 0, 0)
        tail = (*[None] * 8, now, *[None] * 3, _SUCCEEDED, now, None, self._worker, AGENT)
        return [(uuid7(), *head, body, *tail) for body in bodies]

    async def _tell(self, rows: Sequence[tuple[Any, ...]], seq: int) -> None:
        await asyncio.to_thread(self._insert, rows)
        await self._context.delete_msg(self._stream, seq)

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._master.gateway.transaction("bench", lambda tx: tx.bulk("history_put", rows))

    async def alternate(self, count: int, bulk: int, batch: int) -> float:
        """See :meth:`.floor.Floor.alternate`."""
        return await asyncio.to_thread(self._in_loop, self._alternate(count, bulk, batch))

    async def _alternate(self, count: int, bulk: int, batch: int) -> float:
        bodies = [encode(payload(number)).encode() for number in range(count)]
        began = time.perf_counter()
        for first in range(0, count, bulk):
            part = bodies[first : first + bulk]
            await self._publish(part)
            await self._drain(len(part), batch)
        return time.perf_counter() - began

    def singles(self, seconds: float) -> tuple[int, float]:
        """See :meth:`.floor.Floor.singles`."""
        return self._loop.run(self._singles(seconds))

    async def _singles(self, seconds: float) -> tuple[int, float]:
        body = encode(payload(0)).encode()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            await self._context.publish(self._subject, body)
            done += 1
        return done, time.perf_counter() - began
