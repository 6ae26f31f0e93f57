"""The floor of NATS: publish, fetch and acknowledge with the client library, and nothing else.

Each payload is decoded and a coroutine that does nothing is awaited for each job, as on the other floors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import nats
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import RetentionPolicy, StorageType
from nats.js.errors import BadRequestError

from ...agents.nats.loopthread import LoopThread
from ...agents.nats.options import NatsOptions
from .floor import decode, encode, nothing
from .jobs import payload

__all__ = ["FLOOR_STREAM", "NatsFloor"]

T = TypeVar("T")
FLOOR_STREAM = "bench-floor"
_CONSUMER = "floor"


class NatsFloor:
    """One connection to one stream with one subject and one durable consumer."""

    def __init__(self, url: str, table_prefix: str) -> None:
        self._servers = NatsOptions(url).servers
        prefix = table_prefix.strip("_")
        self._stream = f"{prefix}-{FLOOR_STREAM}"
        self._subject = f"{prefix}.{FLOOR_STREAM}"
        self._loop = LoopThread("floor")
        self._client: Any = None
        self._context: Any = None
        self._subscription: Any = None
        self._loop.run(self._open())

    async def _open(self) -> None:
        self._client = await nats.connect(self._servers)
        self._context = self._client.jetstream(publish_async_max_pending=4000)
        try:
            await self._context.add_stream(
                name=self._stream,
                subjects=[self._subject],
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

    async def drain(self, count: int, batch: int) -> tuple[float, float]:
        """See :meth:`.floor.Floor.drain`."""
        return await asyncio.to_thread(self._in_loop, self._drain(count, batch))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    async def _drain(self, count: int, batch: int) -> tuple[float, float]:
        began, left = 0.0, count
        while left > 0:
            try:
                messages = await self._subscription.fetch(min(batch, left), timeout=1)
            except NatsTimeout:
                continue
            began = began or time.time()
            for message in messages:
                await nothing(decode(message.data))
            for message in messages:
                await message.ack()
            left -= len(messages)
        await self._client.flush()
        return began, time.time()

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
