"""Pulls messages from one durable consumer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ...errors import TransientStoreError
from ...payload.jsontext import write_bytes
from .link import Link
from .streams import ensure_consumer
from .wire import Listening, status_of

__all__ = ["Arrived", "Puller", "ensure_all", "sequence_of"]

_TRY_AGAIN = 0.2
_PATIENCE = 1.0
"""Seconds for which a pull waits for its answer. What comes later is there for the next one."""
_GLANCE = 0.25
"""Seconds for which a pull waits for a consumer to be found again."""


class Arrived(Protocol):
    """A message that was delivered, as whoever pulls wants it."""

    @property
    def reply(self) -> str:
        """Where it is acknowledged."""
        ...


A = TypeVar("A", bound=Arrived)


def sequence_of(reply: str) -> tuple[int, int]:
    """The sequence of a delivered message in its stream, and how often it was delivered."""
    parts = reply.split(".")
    # servers that tell the domain put it and the account before the stream
    place = 4 if len(parts) < 11 else 6
    return int(parts[place + 1]), int(parts[place])


class Puller(Generic[A]):
    """One consumer as this process pulls from it. What arrived waits in ``fresh`` until it is taken;
    ``receive`` makes it of a message's subject, where it is acknowledged, and its body."""

    def __init__(
        self,
        link: Link,
        stream: str,
        name: str,
        subject: str,
        ack_wait: float,
        most: int,
        receive: Callable[[str, str, bytes], A],
        logger: logging.Logger,
    ) -> None:
        self.name = name
        self._link = link
        self._stream = stream
        self._subject = subject
        self._ack_wait = ack_wait
        self._most = most
        self._receive = receive
        self._logger = logger
        self.fresh: deque[A] = deque()
        self.delivered = 0
        """How many messages have come so far."""
        self._listening: Listening | None = None
        self._inbox = b""
        self._pulls = 0
        self._ended = asyncio.Event()
        self._wanted = 0
        self.sure = False
        """Whether the consumer is known to exist, and answered the last pull."""
        self._unanswered = False
        """Whether a pull was never answered: it may exist and have lost the server that leads it."""
        self._search: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def _ready(self) -> None:
        if not self.sure:
            await ensure_consumer(
                self._link, self._stream, self.name, self._subject, self._ack_wait, self._most, self._logger
            )
            self.sure = True
        if self._listening is None:
            inbox = self._link.new_inbox()
            self._inbox = f"{inbox}.".encode()
            self._listening = await self._link.listen(f"{inbox}.*", self._arrived)

    async def ensure(self) -> None:
        """Make the consumer when it is missing, and listen for what it delivers."""
        async with self._turn:
            await self._ready()

    async def close(self) -> None:
        """Stop listening; what arrived and was not taken is forgotten, and delivered again by the server."""
        listening, self._listening = self._listening, None
        search, self._search = self._search, None
        if search is not None:
            search.cancel()
            await asyncio.wait({search})
        self.sure = False
        self.fresh.clear()
        if listening is not None and self._link.connected:
            await listening.end()

    async def pull(self, most: int) -> int:
        """Ask for up to so many messages that are there now; how many wait in ``fresh`` then."""
        if self.sure or await self._found():
            async with self._turn:
                missing = most - len(self.fresh)
                if missing > 0:
                    await self._pull(missing)
        return min(most, len(self.fresh))

    async def _found(self) -> bool:
        """Whether the consumer answers. That is found out beside what else is done: whoever claims from
        several waits a moment, and no longer for one that has lost its server, but works with the others."""
        search = self._search
        if search is None:
            search = self._search = asyncio.create_task(self._find())
            await asyncio.wait({search}, timeout=_GLANCE)
        if not search.done():
            return False
        if self._search is search:
            self._search = None
        fault = None if search.cancelled() else search.exception()
        if isinstance(fault, TransientStoreError) and self._link.connected:
            self._logger.debug("consumer %s of stream %s: %s", self.name, self._stream, fault)
            return False
        if fault is not None:
            raise fault
        return self.sure

    async def _find(self) -> None:
        async with self._turn:
            await self._ready()
            if self._unanswered:
                self.sure = False
                await self._pull(1)
                if self._unanswered:
                    raise TransientStoreError("it does not answer; it is asked again")

    async def _pull(self, count: int) -> None:
        self._pulls += 1
        self._wanted = len(self.fresh) + count
        self._ended.clear()
        await self._link.send(
            f"{self._link.api_prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self.name}",
            write_bytes({"batch": count, "no_wait": True}),
            f"{self._inbox.decode()}{self._pulls}",
        )
        if not self._link.connected:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ended.wait()
        except TimeoutError:
            self._logger.debug("no answer to a pull from %s", self.name)
            self.sure, self._unanswered = False, True
        else:
            self._unanswered = False

    def _arrived(self, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
        if subject.startswith(self._inbox):
            if subject.rsplit(b".", 1)[1] == b"%d" % self._pulls:
                # 404: nothing there; 408: no more there
                self.sure = status_of(headers) in ("404", "408")
                self._ended.set()
            return
        self.delivered += 1
        self.fresh.append(self._receive(subject.decode(), reply.decode(), body))
        if len(self.fresh) >= self._wanted:
            self.sure = True
            self._ended.set()

    def take(self, most: int) -> list[A]:
        """The oldest of what has arrived, up to so many."""
        return [self.fresh.popleft() for _ in range(min(most, len(self.fresh)))]


async def ensure_all(pullers: Sequence[Puller[Any]], link: Link, timeout: float) -> None:
    """:meth:`Puller.ensure` for each. While servers elect who leads a stream that was just made, nobody
    answers: that is waited for."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            await asyncio.gather(*(puller.ensure() for puller in pullers))
            return
        except TransientStoreError:
            if not link.connected or time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_TRY_AGAIN)
