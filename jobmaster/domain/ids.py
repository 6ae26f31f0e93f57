"""Job ids: UUID version 7, made by the producer, growing with time."""

from __future__ import annotations

import os
import random
import struct
import threading
import time
from itertools import accumulate
from uuid import UUID

__all__ = ["uuid7", "uuid_numbers", "uuid_of"]

_new, _set, _is_safe = UUID.__new__, object.__setattr__, UUID(int=0).is_safe


def uuid_of(number: int) -> UUID:
    """The UUID of a number of 128 bits, unchecked: checks are what ``UUID(int=...)`` is busy with."""
    value = _new(UUID)
    _set(value, "int", number)
    _set(value, "is_safe", _is_safe)
    return value


class _Sequence:
    """Monotonic UUIDv7 source of one process (RFC 9562, section 6.2, method 2): in each millisecond 12 random
    bits stay and the other 62 count on from a random number in random steps."""

    __slots__ = ("_base", "_count", "_draw", "_last_ms", "_lock")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew, as each process has to, also one that was forked."""
        self._lock = threading.Lock()
        self._last_ms = 0
        self._base = 0
        self._count = 0
        # unique, not secret: a generator seeded by the system saves a system call per id
        self._draw = random.Random(os.urandom(16)).getrandbits

    def next(self) -> UUID:
        with self._lock:
            number = self._advance()
        # as :func:`uuid_of` does, without the call
        value = _new(UUID)
        _set(value, "int", number)
        _set(value, "is_safe", _is_safe)
        return value

    def _advance(self) -> int:
        ms = time.time_ns() // 1_000_000
        if ms > self._last_ms:
            self._last_ms = ms
            self._base = ms << 80 | 0x7 << 76 | self._draw(12) << 64 | 0b10 << 62
            # the top bit of the counter starts clear, so that it cannot overflow within a millisecond
            self._count = self._draw(61)
        else:
            self._count += 1 + self._draw(32)
        return self._base | self._count

    def numbers(self, count: int) -> list[int]:
        """The next ids at once, as numbers."""
        if count == 0:
            return []
        with self._lock:
            # the steps between them are those of :meth:`next`, drawn in one go
            steps = struct.unpack(f"{count - 1}I", self._draw(32 * count).to_bytes(4 * count, "big")[4:])
            first = self._advance()
            found = list(accumulate([1 + step for step in steps], initial=first))
            self._count = found[-1] - self._base
        return found


_sequence = _Sequence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sequence.begin)


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then bits that grow within one process.

    Two ids made one after the other in one process compare in that order. Safe across threads and forks.
    """
    return _sequence.next()


def uuid_numbers(count: int) -> list[int]:
    """The numbers of so many ids of :func:`uuid7`, made at once; each is greater than the one before."""
    return _sequence.numbers(count)
