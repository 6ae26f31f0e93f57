"""Acknowledgements of jobs that were settled, sent at once and confirmed beside what comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ...errors import ConfigurationError, TransientStoreError
from .link import Link

__all__ = ["Acknowledging", "acknowledge"]

_PATIENCE = 5.0
"""Seconds for which a confirmation is waited for."""
_LOOKING_PATIENCE = 1.0
"""Seconds for which whoever looks waits for what was settled before; after a server has died an answer may
never come."""


async def acknowledge(link: Link, replies: Sequence[str], timeout: float = _PATIENCE) -> None:
    """Take delivered messages out; returns when the server has done it."""
    if not replies:
        return
    last = {reply.rsplit(".", 5)[0]: reply for reply in replies}
    final = set(last.values())
    await link.send_each([reply for reply in replies if reply not in final])
    # what came before on this connection is done when the last of each consumer is answered
    await asyncio.gather(*(link.ask(reply, b"+ACK", timeout) for reply in final))


class Acknowledging:
    """What one session has acknowledged and has not heard the server confirm.

    Outcomes are durable before they come here, so nobody has to wait: one that is lost on its way lets its
    message be delivered once more, and that one is met where the outcome went. But whoever looks at the
    stream wants to see it without them, and waits for :meth:`confirmed` first."""

    def __init__(
        self, link: Link, logger: logging.Logger, writing: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._link = link
        self._writing = writing
        self._logger = logger
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, replies: Sequence[str]) -> None:
        """Acknowledge these, which one consumer delivered."""
        task = asyncio.create_task(self._acknowledge(replies))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def confirmed(self) -> None:
        """Return when the server has confirmed all that were begun before, or did not in time."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_LOOKING_PATIENCE)

    async def _acknowledge(self, replies: Sequence[str]) -> None:
        try:
            with self._writing("settled"):
                await acknowledge(self._link, replies)
        except TransientStoreError as fault:
            self._logger.debug("acknowledgements are not certain: %s", fault)
        except ConfigurationError as fault:
            self._logger.warning("jobs that have ended cannot be taken out of their stream: %s", fault)
