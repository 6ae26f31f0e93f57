"""How many jobs a worker claims ahead of its run slots."""

from __future__ import annotations

from .options import WorkerOptions

__all__ = ["Depth"]

_AHEAD = 0.1
"""Seconds of work that may wait here."""
_TRIPS = 3
"""Settles that it has to last for, where those take longer than that."""
_WINDOW = 0.02
"""Seconds over which runs are counted at least."""
_FADE = 0.5
"""Seconds after which a former pace counts for nothing."""
_SILENCE = 1.0
"""Seconds without an end after which the pace is looked at all the same."""


class Depth:
    """The size of a worker's buffer, by the pace at which its jobs end.

    Where jobs are short, a buffer of a fixed size is empty before the next settle is back. Where they are
    long, what waits in it is kept from other workers. So ``min(batch_size, 5 * slots)`` jobs may wait for a
    slot, and up to ``4 * batch_size`` while all of them begin within a tenth of a second, or within
    three settles where those take longer (Little's law: what waits is the pace times the time it waits).
    """

    __slots__ = ("_count", "_least", "_most", "_pace", "_since", "_slots", "_took")

    def __init__(self, options: WorkerOptions, now: float) -> None:
        self._slots = options.slots
        self._least = options.buffer - options.slots
        self._most = max(options.most_buffered - options.slots, self._least)
        self._pace = 0.0
        """Jobs per second."""
        self._count = 0
        """How many have ended since ``_since``."""
        self._since = now
        self._took = 0.0

    @property
    def ahead(self) -> int:
        """How many jobs may wait for a slot."""
        within = max(_AHEAD, _TRIPS * self._took)
        return max(self._least, min(self._most, int(self._pace * within)))

    @property
    def size(self) -> int:
        """How many jobs may be here, running or not."""
        return self._slots + self.ahead

    def settled(self, ended: int, took: float, now: float) -> None:
        """A settle that took so many seconds has stored so many outcomes, at monotonic instant ``now``."""
        self._took = took
        self._note(ended, now, _WINDOW)

    def excess(self, waiting: int, now: float) -> int:
        """How many of the jobs that wait are too many, since they last longer than they promised to."""
        self._note(0, now, _SILENCE)
        beyond = waiting - self.ahead
        # not for a few: giving back is a write, and claiming them anew is another
        return beyond if beyond > self._least else 0

    def _note(self, ended: int, now: float, window: float) -> None:
        self._count += ended
        span = now - self._since
        if span < window:
            return
        pace = self._count / span
        if pace < self._pace:
            # a short pause says little
            pace = self._pace + (pace - self._pace) * min(1.0, span / _FADE)
        self._pace, self._count, self._since = pace, 0, now
