"""The event loop of a process that belongs to the command line."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from enum import StrEnum

from .refusal import Refusal

__all__ = ["LoopKind", "loop_factory"]


class LoopKind(StrEnum):
    """Which event loop handlers run on."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def loop_factory(kind: LoopKind) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop, ``None`` for asyncio's own; ``auto`` is uvloop where it is installed.

    Raises :class:`Refusal` when uvloop is wanted and not there.
    """
    if kind is LoopKind.ASYNCIO:
        return None
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError as fault:
        if kind is LoopKind.AUTO:
            return None
        raise Refusal(
            f"--loop uvloop: it cannot be imported ({fault}); pip install 'jobmaster[speed]' brings it, but "
            "not to Windows"
        ) from None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
