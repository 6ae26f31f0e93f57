"""Job ids: UUID version 7, made by the producer, growing with time."""

from __future__ import annotations

import os
import random
import threading
import time
from uuid import UUID

__all__ = ["uuid7", "uuid_of"]

_new, _set, _is_safe = UUID.__new__, object.__setattr__, UUID(int=0).is_safe


def uuid_of(number: int) -> UUID:
    """The UUID of a number of 128 bits, unchecked: checks are what ``UUID(int=...)`` is busy with."""
    value = _new(UUID)
    _set(value, "int", number)
    _set(value, "is_safe", _is_safe)
    return value


class _Sequence:
    """Monotonic UUIDv7 source of one process (RFC 9562, section 6.2, method 2: 74-bit random counter)."""

    __slots__ = ("_draw", "_last_ms", "_lock", "_pid", "_tail")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._tail = 0
        self._seed()

    def _seed(self) -> None:
        # unique, not secret: a generator seeded by the system saves a system call per id
        self._pid = os.getpid()
        self._draw = random.Random(os.urandom(16)).getrandbits

    def next(self) -> UUID:
        ms = time.time_ns() // 1_000_000
        with self._lock:
            if self._pid != os.getpid():
                self._seed()
                self._last_ms = 0
            if ms > self._last_ms:
                self._last_ms = ms
                # the top bit of the counter starts clear, so that it cannot overflow within a millisecond
                self._tail = self._draw(73)
            else:
                self._tail += 1 + self._draw(32)
            ms, tail = self._last_ms, self._tail
        value = (ms & 0xFFFF_FFFF_FFFF) << 80
        value |= 0x7 << 76
        value |= ((tail >> 62) & 0xFFF) << 64
        value |= 0b10 << 62
        value |= tail & 0x3FFF_FFFF_FFFF_FFFF
        return uuid_of(value)


_sequence = _Sequence()


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 bits that grow within one process.

    Two ids made one after the other in one process compare in that order. Safe across threads and forks.
    """
    return _sequence.next()
