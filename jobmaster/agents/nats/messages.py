"""Messages on their way into a stream, and what the server says about them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ...payload.jsontext import read_bytes

__all__ = ["Ack", "Batch", "Outgoing", "read_ack"]

_WRONG_SEQUENCE = 10071
_NO_ROOM = (10077, 10023, 10047, 10122)
"""The stream or the account is full: that is an answer, and not an absence."""


class Outgoing(NamedTuple):
    """A message for a stream. ``id`` makes a repetition known; ``expected``: only while the last message of
    its subject has this sequence, 0 for none."""

    subject: str
    body: bytes
    id: str
    expected: int | None = None


class Ack(NamedTuple):
    """What the server said about one message: its sequence; or 0, and why it did not take it."""

    seq: int
    duplicate: bool = False
    fault: int = 0
    reason: str = ""

    @property
    def overtaken(self) -> bool:
        """Whether the subject has another last message than was expected."""
        return self.fault == _WRONG_SEQUENCE


class Batch:
    """Messages that wait for their acknowledgements."""

    __slots__ = ("_waiter", "acks", "declined", "left", "until")

    def __init__(self, size: int) -> None:
        self.acks: list[Ack | None] = [None] * size
        self.left = size
        self.declined = 0
        """How many of those nobody answers for just now: they are sent again in a moment."""
        self.until = 0
        """With how few left that may still be answered :meth:`wait` is over."""
        self._waiter: asyncio.Future[bool] | None = None

    def answer(self, place: int, body: bytes) -> None:
        """Take an acknowledgement in."""
        if self.acks[place] is None:
            ack = self.acks[place] = read_ack(body)
            if ack is None:
                self.declined += 1
            else:
                self.left -= 1
        if self.left - self.declined <= self.until and self._waiter is not None:
            self._end_wait(True)

    async def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether as many were answered as are waited for."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        timer = loop.call_later(seconds, self._end_wait, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _end_wait(self, enough: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(enough)


def read_ack(body: bytes) -> Ack | None:
    """The answer to one message; ``None`` when nobody answers for the stream just now."""
    if not body:
        return None
    answer = read_bytes(body)
    fault = answer.get("error")
    if fault is None:
        return Ack(answer["seq"], answer.get("duplicate", False))
    code = int(fault.get("err_code", 0))
    if fault.get("code") == 503 and code not in _NO_ROOM:
        return None
    return Ack(0, False, code, str(fault.get("description", "")))
