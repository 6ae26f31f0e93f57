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

    __slots__ = ("_draw", "_last_ms", "_lock", "_tail")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew, as each process has to, also one that was forked."""
        self._lock = threading.Lock()
        self._last_ms = 0
        self._tail = 0
        # unique, not secret: a generator seeded by the system saves a system call per id
        self._draw = random.Random(os.urandom(16)).getrandbits

    def next(self) -> UUID:
        ms = time.time_ns() // 1_000_000
        with self._lock:
            if ms > self._last_ms:
                self._last_ms = ms
                # the top bit of the counter starts clear, so that it cannot overflow within a millisecond
                self._tail = self._draw(73)
            else:
                self._tail += 1 + self._draw(32)
            ms, tail = self._last_ms, self._tail
        return uuid_of(
            ms << 80 | 0x7 << 76 | (tail >> 62 & 0xFFF) << 64 | 0b10 << 62 | tail & 0x3FFF_FFFF_FFFF_FFFF
        )


_sequence = _Sequence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sequence.begin)


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 bits that grow within one process.

    Two ids made one after the other in one process compare in that order. Safe across threads and forks.
    """
    return _sequence.next()
