"""Job ids: UUID version 7, made by the producer, growing with time."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

__all__ = ["uuid7"]


class _Sequence:
    """Monotonic UUIDv7 source of one process (RFC 9562, section 6.2, method 2: 74-bit random counter)."""

    __slots__ = ("_last_ms", "_lock", "_pid", "_tail")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._tail = 0
        self._pid = os.getpid()

    def next(self) -> UUID:
        ms = time.time_ns() // 1_000_000
        with self._lock:
            if ms > self._last_ms or self._pid != os.getpid():
                self._last_ms = max(ms, self._last_ms)
                self._pid = os.getpid()
                # the top bit of the counter starts clear, so that it cannot overflow within a millisecond
                self._tail = int.from_bytes(os.urandom(10), "big") >> 7
            else:
                self._tail += 1 + int.from_bytes(os.urandom(4), "big")
            ms, tail = self._last_ms, self._tail
        value = (ms & 0xFFFF_FFFF_FFFF) << 80
        value |= 0x7 << 76
        value |= ((tail >> 62) & 0xFFF) << 64
        value |= 0b10 << 62
        value |= tail & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=value)


_sequence = _Sequence()


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 bits that grow within one process.

    Two ids made one after the other in one process compare in that order. Safe across threads and forks.
    """
    return _sequence.next()
