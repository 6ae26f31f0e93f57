"""The data of a job without a payload type: a read-only mapping with typed getters."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, TypeVar, overload
from uuid import UUID

__all__ = ["PlainData"]

D = TypeVar("D")
V = TypeVar("V")


class _Missing:
    """No default was given."""


_MISSING: Final = _Missing()


class PlainData(dict[str, Any]):
    """What ``job.data`` is for a bare ``JobHandler``: a ``dict`` of JSON values that cannot be changed.

    Dates, UUIDs, decimals and bytes are stored as text; the typed getters read them back. Each getter raises
    ``KeyError`` for a missing key without ``default=``, ``TypeError`` for a value of another kind, and
    ``ValueError`` for text that cannot be read.

    >>> data = PlainData({"name": "John", "amount": "12.50", "vip": None})
    >>> data.get_str("name"), data.get_decimal("amount"), data.get_int("age", default=0)
    ('John', Decimal('12.50'), 0)
    """

    __slots__ = ()

    @overload
    def get_str(self, key: str) -> str: ...
    @overload
    def get_str(self, key: str, *, default: D) -> str | D: ...
    def get_str(self, key: str, *, default: Any = _MISSING) -> Any:
        """The text under ``key``."""
        return self._read(key, default, "text", _as_str)

    @overload
    def get_int(self, key: str) -> int: ...
    @overload
    def get_int(self, key: str, *, default: D) -> int | D: ...
    def get_int(self, key: str, *, default: Any = _MISSING) -> Any:
        """The whole number under ``key``; ``True`` and ``1.0`` are not taken for one."""
        return self._read(key, default, "an integer", _as_int)

    @overload
    def get_float(self, key: str) -> float: ...
    @overload
    def get_float(self, key: str, *, default: D) -> float | D: ...
    def get_float(self, key: str, *, default: Any = _MISSING) -> Any:
        """The number under ``key`` as a ``float``."""
        return self._read(key, default, "a number", _as_float)

    @overload
    def get_bool(self, key: str) -> bool: ...
    @overload
    def get_bool(self, key: str, *, default: D) -> bool | D: ...
    def get_bool(self, key: str, *, default: Any = _MISSING) -> Any:
        """``True`` or ``False`` under ``key``; no other value is taken for one."""
        return self._read(key, default, "true or false", _as_bool)

    @overload
    def get_decimal(self, key: str) -> Decimal: ...
    @overload
    def get_decimal(self, key: str, *, default: D) -> Decimal | D: ...
    def get_decimal(self, key: str, *, default: Any = _MISSING) -> Any:
        """The decimal under ``key``: its text, or a whole number."""
        return self._read(key, default, "a decimal", _as_decimal)

    @overload
    def get_datetime(self, key: str) -> datetime: ...
    @overload
    def get_datetime(self, key: str, *, default: D) -> datetime | D: ...
    def get_datetime(self, key: str, *, default: Any = _MISSING) -> Any:
        """The aware instant under ``key``, from ISO 8601 text with an offset."""
        return self._read(key, default, "an instant", _as_datetime)

    @overload
    def get_date(self, key: str) -> date: ...
    @overload
    def get_date(self, key: str, *, default: D) -> date | D: ...
    def get_date(self, key: str, *, default: Any = _MISSING) -> Any:
        """The date under ``key``, from ISO 8601 text."""
        return self._read(key, default, "a date", _as_date)

    @overload
    def get_uuid(self, key: str) -> UUID: ...
    @overload
    def get_uuid(self, key: str, *, default: D) -> UUID | D: ...
    def get_uuid(self, key: str, *, default: Any = _MISSING) -> Any:
        """The UUID under ``key``."""
        return self._read(key, default, "a UUID", _as_uuid)

    @overload
    def get_bytes(self, key: str) -> bytes: ...
    @overload
    def get_bytes(self, key: str, *, default: D) -> bytes | D: ...
    def get_bytes(self, key: str, *, default: Any = _MISSING) -> Any:
        """The bytes under ``key``, from base64 text."""
        return self._read(key, default, "bytes", _as_bytes)

    def _read(self, key: str, default: Any, wanted: str, convert: Callable[[Any], Any]) -> Any:
        try:
            value = self[key]
        except KeyError:
            if default is _MISSING:
                raise KeyError(key) from None
            return default
        try:
            return convert(value)
        except TypeError:
            raise TypeError(f"{key!r} is not {wanted}: found {_shown(value)}") from None
        except ValueError as fault:
            raise ValueError(f"{key!r} is not {wanted}: found {_shown(value)} ({fault})") from None

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the data of a job is read-only; make a copy with dict(job.data)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[PlainData], tuple[dict[str, Any]]]:
        return PlainData, (dict(self),)

    def __copy__(self) -> PlainData:
        return self

    def __repr__(self) -> str:
        return f"PlainData({dict.__repr__(self)})"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _as_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _as_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError


def _as_float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("too large for a float") from None
    raise TypeError


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _as_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError("not the text of a decimal") from None


def _as_datetime(value: Any) -> datetime:
    instant = datetime.fromisoformat(_as_str(value))
    if instant.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    return instant


def _as_date(value: Any) -> date:
    return date.fromisoformat(_as_str(value))


def _as_uuid(value: Any) -> UUID:
    return UUID(_as_str(value))


def _as_bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_as_str(value), validate=True)
    except binascii.Error as fault:
        raise ValueError(str(fault)) from None
