"""How fast jobs come and end, told from counts at two moments."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..domain.status import JobStatus

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster

__all__ = ["RateMeter", "Rates"]

_FINAL = [status for status in JobStatus if status.is_final]
_LIVE = [status for status in JobStatus if not status.is_final]
_SHARE = 10.0
"""Counting a long history takes time: it is done no more often than so many times its own length."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs per second, over ``seconds``. History that retention deletes meanwhile is missing in ``ended``."""

    enqueued: float
    ended: float
    seconds: float


class RateMeter:
    """Looks at a cluster again and again."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = cluster.scheduler.count_jobs
        self._clock = clock
        self._before: tuple[float, int, int] | None = None
        self._not_before = float("-inf")
        self._last: Rates | None = None

    def look(self) -> Rates | None:
        """The rates since the look before; ``None`` the first time. Raises what counting raises."""
        began = self._clock()
        if began < self._not_before:
            return self._last
        ended, live = self._count(status=_FINAL), self._count(status=_LIVE)
        now = self._clock()
        self._not_before = now + _SHARE * (now - began)
        if self._before is not None:
            at, ended_before, live_before = self._before
            seconds = max(now - at, 1e-3)
            gone = max(0, ended - ended_before)
            came = max(0, gone + live - live_before)
            self._last = Rates(came / seconds, gone / seconds, seconds)
        self._before = (now, ended, live)
        return self._last
