"""PostgreSQL arrays in binary form, built a column at a time.

The driver dumps a list element by element in Python; for the hot statements that cost more than the server's
own work on the rows. Here a whole column is one ``bytes`` object, whose class carries its type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from operator import is_
from typing import Any
from uuid import UUID

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

__all__ = [
    "INFINITE_PAST",
    "NULL",
    "bigint_cell",
    "bigints",
    "column",
    "cursors",
    "instant_cell",
    "instants",
    "int_cell",
    "ints",
    "register",
    "size",
    "smallint_cell",
    "smallints",
    "text_cell",
    "texts",
    "uuids",
]

_UUID, _INT2, _INT4, _INT8, _TEXT, _INSTANT = 2950, 21, 23, 20, 25, 1184
NULL = b"\xff\xff\xff\xff"
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


def _array(oid: int, values: Sequence[Any], cell: Callable[[Any], bytes]) -> bytes:
    """An array of cells. Most columns of a batch hold one value over and over: then one cell is made."""
    count = len(values)
    if count > 1 and values[0] is values[-1] and all(map(is_, values, repeat(values[0]))):
        first = values[0]
        return _head(oid, count) + (NULL if first is None else cell(first)) * count
    return _head(oid, count) + b"".join([NULL if v is None else cell(v) for v in values])


def uuid_cell(value: UUID) -> bytes:
    return b"\x00\x00\x00\x10" + value.bytes


def text_cell(value: str) -> bytes:
    raw = value.encode()
    return size(len(raw)) + raw


def instant_cell(value: datetime) -> bytes:
    since = value - _EPOCH
    micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return _long(8, micros)


size = struct.Struct(">i").pack
smallint_cell = partial(struct.Struct(">ih").pack, 2)
int_cell = partial(struct.Struct(">ii").pack, 4)
_long = struct.Struct(">iq").pack
bigint_cell = partial(_long, 8)


def uuids(values: Sequence[UUID | None]) -> Column:
    """A ``uuid[]``."""
    return _Uuids(_array(_UUID, values, uuid_cell))


def smallints(values: Sequence[int | None]) -> Column:
    """A ``smallint[]``."""
    return _SmallInts(_array(_INT2, values, smallint_cell))


def ints(values: Sequence[int | None]) -> Column:
    """An ``integer[]``."""
    return _Ints(_array(_INT4, values, int_cell))


def bigints(values: Sequence[int | None]) -> Column:
    """A ``bigint[]``."""
    return _BigInts(_array(_INT8, values, bigint_cell))


def texts(values: Sequence[str | None]) -> Column:
    """A ``text[]``. Raises ``UnicodeEncodeError`` for lone surrogates."""
    return _Texts(_array(_TEXT, values, text_cell))


def instants(values: Sequence[datetime | None]) -> Column:
    """A ``timestamptz[]`` of aware instants."""
    return _Instants(_array(_INSTANT, values, instant_cell))


_KINDS: dict[str, Callable[[Sequence[Any]], Column]] = {
    "uuid": uuids,
    "smallint": smallints,
    "int": ints,
    "bigint": bigints,
    "text": texts,
    "timestamptz": instants,
}


def column(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    """An array of this kind; as it is, for the driver, when the kind is another."""
    made = _KINDS.get(kind)
    return values if made is None else made(values)


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
