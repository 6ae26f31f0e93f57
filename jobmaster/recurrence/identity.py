"""The id of an occurrence: the same for every planner and every replay."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from .clock import micros_of

_DOMAIN = "jobmaster.occurrence.v1"


def occurrence_id(cluster_id: str, schedule_id: str, instant: datetime) -> UUID:
    """The job id of a schedule's occurrence at a nominal instant, which must be aware.

    A UUID of version 8: 48 bits of milliseconds since 1970, which keep index inserts local, and 74 bits of a
    SHA-256 over cluster, schedule and the instant in microseconds::

        occurrence_id("orders", "nightly-report", datetime(2026, 3, 8, 7, tzinfo=UTC))
    """
    from hashlib import sha256

    micros = micros_of(instant)
    text = f"{_DOMAIN}\0{cluster_id}\0{schedule_id}\0".encode()
    digest = sha256(text + micros.to_bytes(8, "big", signed=True)).digest()
    number = (micros // 1000 % (1 << 48)) << 80
    number |= 8 << 76
    number |= (int.from_bytes(digest[0:2], "big") & 0xFFF) << 64
    number |= 0b10 << 62
    number |= int.from_bytes(digest[2:10], "big") & ((1 << 62) - 1)
    return UUID(int=number)
