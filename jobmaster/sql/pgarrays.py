"""PostgreSQL arrays in binary form, built a column at a time.

The driver dumps a list element by element in Python; for the hot statements that cost more than the server's
own work on the rows. Here a whole column is one ``bytes`` object, whose class carries its type.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

__all__ = ["INFINITE_PAST", "instants", "ints", "register", "smallints", "texts", "uuids"]

_UUID, _INT2, _INT4, _INT8, _TEXT, _INSTANT = 2950, 21, 23, 20, 25, 1184
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
INFINITE_PAST = struct.pack(">iq", 8, -(2**63))


class Column(bytes):
    """One array parameter on the wire."""

    __slots__ = ()


class _Uuids(Column):
    pass


class _SmallInts(Column):
    pass


class _Ints(Column):
    pass


class _BigInts(Column):
    pass


class _Texts(Column):
    pass


class _Instants(Column):
    pass


def _head(oid: int, count: int) -> bytes:
    return struct.pack(">iiiii", 1, 1, oid, count, 1)


def uuids(values: Sequence[UUID | None]) -> Column:
    """A ``uuid[]``."""
    cells = [_NULL if v is None else b"\x00\x00\x00\x10" + v.bytes for v in values]
    return _Uuids(_head(_UUID, len(values)) + b"".join(cells))


def smallints(values: Sequence[int]) -> Column:
    """A ``smallint[]`` without nulls."""
    flat = [part for v in values for part in (2, v)]
    return _SmallInts(_head(_INT2, len(values)) + struct.pack(">" + "ih" * len(values), *flat))


def ints(values: Sequence[int | None]) -> Column:
    """An ``integer[]``."""
    pack = struct.Struct(">ii").pack
    return _Ints(_head(_INT4, len(values)) + b"".join([_NULL if v is None else pack(4, v) for v in values]))


def bigints(values: Sequence[int | None]) -> Column:
    """A ``bigint[]``."""
    pack = struct.Struct(">iq").pack
    return _BigInts(
        _head(_INT8, len(values)) + b"".join([_NULL if v is None else pack(8, v) for v in values])
    )


def texts(values: Sequence[str | None]) -> Column:
    """A ``text[]``. Raises ``UnicodeEncodeError`` for lone surrogates."""
    size = struct.Struct(">i").pack
    cells: list[bytes] = []
    for value in values:
        if value is None:
            cells.append(_NULL)
        else:
            raw = value.encode()
            cells.append(size(len(raw)))
            cells.append(raw)
    return _Texts(_head(_TEXT, len(values)) + b"".join(cells))


def instants(values: Sequence[datetime | None]) -> Column:
    """A ``timestamptz[]`` of aware instants."""
    pack = struct.Struct(">iq").pack
    cells: list[bytes] = []
    for value in values:
        if value is None:
            cells.append(_NULL)
        else:
            since = value - _EPOCH
            micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
            cells.append(pack(8, micros))
    return _Instants(_head(_INSTANT, len(values)) + b"".join(cells))


def cursors(values: Sequence[datetime | None]) -> Column:
    """A ``timestamptz[]`` in which ``None`` stands for the infinite past."""
    pack = struct.Struct(">iq").pack
    cells = [INFINITE_PAST if v is None else pack(8, (v - _EPOCH) // _US) for v in values]
    return _Instants(_head(_INSTANT, len(values)) + b"".join(cells))


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


def _dumper(oid: int) -> type[Dumper]:
    return type("ArrayDumper", (_ColumnDumper,), {"oid": oid})


def register(context: AdaptContext) -> None:
    """Teach a connection these parameters."""
    for cls, oid in (
        (_Uuids, 2951),
        (_SmallInts, 1005),
        (_Ints, 1007),
        (_BigInts, 1016),
        (_Texts, 1009),
        (_Instants, 1185),
    ):
        context.adapters.register_dumper(cls, _dumper(oid))
