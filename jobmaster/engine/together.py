"""Asks several stores at once, so that none is kept waiting by one that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["together"]


async def together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all of them to their end; then raise the error of the first that failed, if any."""
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
