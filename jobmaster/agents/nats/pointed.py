"""A connection whose writes pass fault points, every one of them, whoever writes and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from .link import Link
from .messages import Ack, Outgoing
from .options import NatsOptions

__all__ = ["PointedLink"]

_ACKNOWLEDGING = (b"", b"+ACK")


class PointedLink(Link):
    """``reach`` is called before and after each batch that is stored, each acknowledgement and each deletion;
    what it raises is raised."""

    def __init__(
        self, agent: str, options: NatsOptions, logger: logging.Logger, reach: Callable[[str], None]
    ) -> None:
        super().__init__(agent, options, logger)
        self._reach = reach

    async def publish(self, messages: Sequence[Outgoing], timeout: float) -> list[Ack]:
        self._reach("publish.before_commit")
        acks = await super().publish(messages, timeout)
        self._reach("publish.after_commit")
        return acks

    async def api(self, endpoint: str, body: object = None, timeout: float = 5.0) -> dict[str, Any]:
        if not endpoint.startswith("STREAM.MSG.DELETE."):
            return await super().api(endpoint, body, timeout)
        self._reach("delete.before_commit")
        answer = await super().api(endpoint, body, timeout)
        self._reach("delete.after_commit")
        return answer

    async def ask(self, subject: str, body: bytes, timeout: float, *, repeated: bool = True) -> bytes:
        if body != b"+ACK":
            return await super().ask(subject, body, timeout, repeated=repeated)
        self._reach("acknowledge.before_commit")
        answer = await super().ask(subject, body, timeout, repeated=repeated)
        self._reach("acknowledge.after_commit")
        return answer

    async def send(self, subject: str, body: bytes = b"", reply: str = "") -> None:
        if body in _ACKNOWLEDGING and subject.startswith("$JS.ACK."):
            self._reach("acknowledge.before_commit")
        await super().send(subject, body, reply)

    async def send_each(self, subjects: Sequence[str]) -> None:
        if subjects:
            self._reach("acknowledge.before_commit")
        await super().send_each(subjects)
