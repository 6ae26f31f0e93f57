"""JSON text, by orjson where it is installed and by the standard library otherwise, with one meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from ..errors import SerializationError

__all__ = ["read", "read_bytes", "write", "write_bytes"]

_dumps: Callable[[Any], bytes] | None
_loads: Callable[[str | bytes], Any] | None
try:
    import orjson
except ImportError:
    _dumps = _loads = None
else:
    _dumps, _loads = orjson.dumps, orjson.loads

_MAY_BE_ONE = frozenset((float, list, dict))
"""Types of values that may be, or hold, an integer that was read as a float."""
_any_digit = re.compile("[0-9]").search
_three_digits = re.compile("[0-9]{3}").search
_long_number = re.compile("[0-9]{19}").search


def write(value: Any) -> str:
    """``value``, made of plain JSON types only, as compact text with every character written as itself.

    Raises :class:`SerializationError` for an integer of more digits than the interpreter converts.
    """
    if _dumps is not None:
        try:
            return _dumps(value).decode()
        except TypeError:
            # an integer beyond 64 bits: the standard library writes it in full
            return _write_slowly(value)
    return _write_slowly(value)


def _write_slowly(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as fault:
        raise SerializationError(f"an integer is too long for text: {fault}") from None


def read(text: str) -> Any:
    """The value that ``text`` holds. Raises :class:`SerializationError` when it is not JSON."""
    if _loads is None:
        return _read_slowly(text)
    try:
        value = _loads(text)
    except ValueError:
        # orjson refuses what json may know
        return _read_slowly(text)
    # It reads an integer beyond 64 bits as a float.
    if type(value) is dict and _MAY_BE_ONE.isdisjoint(map(type, value.values())):
        return value
    return _read_slowly(text) if _holds_long_number(text) else value


def _holds_long_number(text: str) -> bool:
    """Whether 19 digits follow each other. Such a run covers one of the positions 18, 37, 56 … and three
    neighbours of 5, 11, 17 …: cheap looks at those rule most texts out."""
    return bool(
        len(text) >= 19 and _any_digit(text[18::19]) and _three_digits(text[5::6]) and _long_number(text)
    )


def _read_slowly(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as fault:
        raise SerializationError(f"the stored text is not JSON that can be read: {fault}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def write_bytes(value: Any) -> bytes:
    """Like :func:`write`, as UTF-8; besides plain types ``value`` may hold ids, and aware UTC instants, which
    become texts that ``UUID`` and ``datetime.fromisoformat`` take. Raises ``UnicodeEncodeError`` for text
    that is no Unicode."""
    if _dumps is not None:
        try:
            return _dumps(value)
        except TypeError:
            # an integer beyond 64 bits, or text that is no Unicode: the standard library tells them apart
            return _write_texts(value).encode()
    return _write_texts(value).encode()


def _write_texts(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_text_of)


def _text_of(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def read_bytes(text: bytes) -> Any:
    """What UTF-8 text holds that this library wrote with integers of its own, or that a server sent: none of
    its integers is beyond 64 bits. Raises :class:`SerializationError` when it is not JSON."""
    if _loads is not None:
        try:
            return _loads(text)
        except ValueError:
            return _read_slowly(text.decode())
    return _read_slowly(text.decode())
