"""Pulls messages from one durable consumer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ...payload.jsontext import write
from .link import Link
from .streams import ensure_consumer

__all__ = ["Puller", "sequence_of"]

_PATIENCE = 2.0
"""Seconds for which a pull waits for its answer. What comes later is there for the next one."""


def sequence_of(reply: str) -> tuple[int, int]:
    """The sequence of a delivered message in its stream, and how often it was delivered."""
    if reply.count(".") < 10:
        _, times, seq, _, _, _ = reply.rsplit(".", 5)
    else:
        # servers that tell the domain put it and the account before the stream
        _, times, seq, _ = reply.split(".", 8)[5:]
    return int(seq), int(times)


class Puller:
    """One consumer as this process pulls from it. What arrived waits in ``fresh`` until it is taken."""

    def __init__(
        self,
        link: Link,
        stream: str,
        name: str,
        subject: str,
        ack_wait: float,
        most: int,
        logger: logging.Logger,
    ) -> None:
        self.name = name
        self._link = link
        self._stream = stream
        self._subject = subject
        self._ack_wait = ack_wait
        self._most = most
        self._logger = logger
        self.fresh: deque[Msg] = deque()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._pulls = 0
        self._ended = asyncio.Event()
        self._wanted = 0
        self.sure = False
        """Whether the consumer is known to exist, and answered the last pull."""
        self._turn = asyncio.Lock()

    async def _ready(self) -> None:
        if not self.sure:
            await ensure_consumer(
                self._link, self._stream, self.name, self._subject, self._ack_wait, self._most, self._logger
            )
            self.sure = True
        if self._subscription is None:
            self._inbox = self._link.new_inbox()
            self._subscription = await self._link.subscribe(f"{self._inbox}.*", self._arrived)

    async def ensure(self) -> None:
        """Make the consumer when it is missing, and listen for what it delivers."""
        async with self._turn:
            await self._ready()

    async def close(self) -> None:
        """Stop listening; what arrived and was not taken is forgotten, and delivered again by the server."""
        subscription, self._subscription = self._subscription, None
        self.sure = False
        self.fresh.clear()
        if subscription is not None and self._link.connected:
            await subscription.unsubscribe()

    async def pull(self, most: int) -> int:
        """Ask for up to so many messages that are there now; how many wait in ``fresh`` then."""
        async with self._turn:
            missing = most - len(self.fresh)
            if missing > 0:
                await self._ready()
                await self._pull(missing)
            return min(most, len(self.fresh))

    async def _pull(self, count: int) -> None:
        self._pulls += 1
        self._wanted = len(self.fresh) + count
        self._ended.clear()
        await self._link.send(
            f"{self._link.api_prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self.name}",
            write({"batch": count, "no_wait": True}).encode(),
            f"{self._inbox}.{self._pulls}",
        )
        if not self._link.connected:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ended.wait()
        except TimeoutError:
            self._logger.debug("no answer to a pull from %s", self.name)
            self.sure = False

    async def _arrived(self, message: Msg) -> None:
        if message.subject.startswith(self._inbox):
            if message.subject.rsplit(".", 1)[1] == str(self._pulls):
                status = (message.headers or {}).get("Status", "")
                # 404: nothing there; 408: no more there
                self.sure = status in ("404", "408")
                self._ended.set()
            return
        self.fresh.append(message)
        if len(self.fresh) >= self._wanted:
            self._ended.set()

    def take(self, most: int) -> list[Msg]:
        """The oldest of what has arrived, up to so many."""
        return [self.fresh.popleft() for _ in range(min(most, len(self.fresh)))]
