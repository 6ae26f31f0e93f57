"""Puts the wall clock of this process off, for everything that asks Python for the time."""

from __future__ import annotations

import datetime
import time
from typing import Any

__all__ = ["shift"]


def shift(seconds: float) -> None:
    """To be called before anything else is imported that takes ``datetime`` or ``time`` by name."""
    real_time, real_time_ns, real = time.time, time.time_ns, datetime.datetime
    off = datetime.timedelta(seconds=seconds)

    class Shifted(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + off

        @classmethod
        def utcnow(cls) -> Any:
            return real.now(datetime.UTC).replace(tzinfo=None) + off

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)
    datetime.datetime = Shifted  # type: ignore[misc]
