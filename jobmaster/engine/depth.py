"""How many jobs a worker claims ahead of its run slots."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange
from .options import WorkerOptions

__all__ = ["SHORT", "Depth", "mean_size"]

SHORT = 0.1
"""Seconds within which all that waits here should begin."""
_TRIPS = 3
"""Settles that it has to last for, where those take longer than that."""
_LONGEST = 1.0
"""Seconds within which it should begin in any case."""
_MOST_BYTES = 16 * 1024 * 1024
"""Of data and results of the jobs that wait beyond the least."""
_SAMPLE = 16
"""Jobs of a settle whose sizes are looked at."""
_LOOK_EVERY = 0.1
"""Seconds between looks at whether too much waits."""
_PATIENCE = 1.0
"""Seconds for which it has to be too much: a pause of the process is none of its jobs' making."""


class Depth:
    """The size of a worker's buffer, by how long its jobs run.

    Where jobs are short, a buffer of a fixed size is empty before the next settle is back. Where they are
    long, what waits in it is kept from other workers. So ``min(batch_size, 5 * slots)`` jobs may wait for a
    slot, and up to ``4 * batch_size`` while all of them begin within a tenth of a second, or within
    three settles where those take longer. How many that are says Little's law: the slots, divided by the
    time for which a job occupies one, times the time to wait. Slots in which a job has run for longer than a
    tenth of a second do not count: long jobs are known before the first of them ends.
    """

    __slots__ = (
        "_least",
        "_look_at",
        "_mean",
        "_most",
        "_over_since",
        "_size",
        "_slots",
        "_took",
        "ahead",
        "busy",
        "ended",
    )

    def __init__(self, options: WorkerOptions) -> None:
        self._slots = options.slots
        self._least = options.buffer - options.slots
        self._most = options.most_buffered - options.slots
        self.ended = 0
        """Runs that have ended since the last settle was back; the dispatcher counts them."""
        self.busy = 0.0
        """Seconds for which those occupied their slots, in all."""
        self.ahead = self._least
        """How many jobs may wait for a slot."""
        self._mean: float | None = None
        """Seconds for which a job occupies a slot."""
        self._took = 0.0
        self._size = 0.0
        self._look_at = 0.0
        self._over_since: float | None = None

    @property
    def least(self) -> int:
        """How many jobs may be here in any case, running or not."""
        return self._slots + self._least

    @property
    def size(self) -> int:
        """How many jobs may be here, running or not."""
        return self._slots + self.ahead

    def settled(self, took: float, size: float, taken: int) -> None:
        """A settle is back that took so many seconds; its jobs had so many bytes on the average, and so many
        slots are ``taken`` by jobs that have run for longer than :data:`SHORT`."""
        self._took = took
        self._size += (size - self._size) / 2
        if self.ended:
            mean = self.busy / self.ended
            weight = 1.0 if self._mean is None else self.ended / (self.ended + self._slots)
            self._mean = (self._mean or 0.0) * (1 - weight) + mean * weight
            self.ended, self.busy = 0, 0.0
        self._reckon(taken)

    def due(self, waiting: int, now: float) -> bool:
        """Whether it is time to ask for the :meth:`excess`, with so many jobs waiting for a slot."""
        if waiting <= 2 * self._least:
            self._over_since = None
            return False
        return now >= self._look_at

    def excess(self, waiting: int, taken: int, now: float) -> int:
        """How many of the jobs that wait are too many and should be given back, since they have to wait for
        longer than it looked when they were claimed. ``taken`` as for :meth:`settled`."""
        self._look_at = now + _LOOK_EVERY
        self._reckon(taken)
        beyond = waiting - self.ahead
        # not for a few: giving back is a write, and claiming them anew is another
        if beyond <= self._least:
            self._over_since = None
            return 0
        if self._over_since is None:
            self._over_since = now
        if now - self._over_since < _PATIENCE:
            return 0
        self._over_since = None
        return beyond

    def _reckon(self, taken: int) -> None:
        ahead = self._least
        if self._mean is not None:
            pace = (self._slots - taken) / max(self._mean, 1e-6)
            within = min(max(SHORT, _TRIPS * self._took), _LONGEST)
            most = min(self._most, int(_MOST_BYTES / max(self._size, 1.0)))
            ahead = max(ahead, min(most, int(pace * within)))
        self.ahead = ahead


def mean_size(changes: Sequence[StateChange], claimed: Sequence[ClaimedJob]) -> float:
    """Bytes, roughly, of data and result of a job: the mean of some that a settle took and brought."""
    results = [len(change.result or "") for change in changes[:_SAMPLE]]
    data = [len(job.data) for job in claimed[:_SAMPLE]]
    return sum(results) / max(1, len(results)) + sum(data) / max(1, len(data))
