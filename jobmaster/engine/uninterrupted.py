"""Calls of a start that must not go on behind the back of the stop that follows when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["keep_result", "to_its_end"]

T = TypeVar("T")


async def keep_result(call: Coroutine[Any, Any, T], keep: Callable[[T], object]) -> None:
    """Await ``call`` to its end and give its result to ``keep``, also when the caller is cancelled meanwhile:
    what was opened can then be closed. The cancellation is passed on afterwards, and what the call raises."""
    opening = asyncio.ensure_future(call)
    cancelled: asyncio.CancelledError | None = None
    while not opening.done():
        try:
            await asyncio.wait([opening])
        except asyncio.CancelledError as asked:
            cancelled = asked
    if cancelled is not None and (opening.cancelled() or opening.exception() is not None):
        raise cancelled
    keep(opening.result())
    if cancelled is not None:
        raise cancelled


async def to_its_end(call: Coroutine[Any, Any, T]) -> T:
    """Await ``call`` to its end, also when the caller is cancelled meanwhile; see :func:`keep_result`."""
    results: list[T] = []
    await keep_result(call, results.append)
    return results[0]
