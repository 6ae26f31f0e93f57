"""Values as plain JSON: what may travel, how the rest is refused, and where in the data it stood."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, NoReturn, TypeGuard
from uuid import UUID

from ..errors import SerializationError

__all__ = ["MAX_DEPTH", "are_flat", "is_flat", "non_finite", "plain"]

MAX_DEPTH = 64
"""Levels of lists and mappings inside one another; the databases' own JSON types end at about 100."""


class _Refused(Exception):
    """Carries the path of a refused value up to where its root has a name."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []
        super().__init__(reason)


def plain(value: object, root: str, *, models: bool = False, nul: bool = True) -> Any:
    """``value`` rebuilt from ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` and ``None``.

    Dates, UUIDs, decimals and bytes become text; with ``models`` also pydantic models and dataclasses become
    mappings; without ``nul`` text may not hold NUL. Raises :class:`SerializationError` naming the place, such
    as ``data.items[3].price``; ``root`` is its first part.
    """
    try:
        return _plain(value, 0, models, nul)
    except _Refused as refused:
        place = root + "".join(reversed(refused.path))
        raise SerializationError(f"{place}: {refused.reason}") from None


_FLAT = frozenset({str, int, bool, type(None)})
_TEXT = frozenset({str})


def is_flat(value: dict[Any, Any]) -> bool:
    """Whether it holds text, whole numbers, ``bool`` and ``None`` only, seen at a glance, as most data does.
    Where all of the text is ASCII, which its JSON tells, :func:`plain` would give an equal mapping."""
    return _FLAT.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value))


def are_flat(values: Sequence[object]) -> TypeGuard[Sequence[dict[str, Any]]]:
    """Whether each is a ``dict`` of which :func:`is_flat` holds."""
    return (
        all(type(value) is dict for value in values)
        and _FLAT.issuperset(map(type, chain.from_iterable(map(dict.values, values))))  # type: ignore[arg-type]
        and _TEXT.issuperset(map(type, chain.from_iterable(values)))  # type: ignore[arg-type]
    )


def non_finite(value: object, place: str) -> str | None:
    """Where NaN or an infinity stands in nested containers: pydantic may write those as ``null``."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, Mapping):
        parts = ((f"{place}.{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        parts = ((f"{place}[{number}]", item) for number, item in enumerate(value))
    else:
        return None
    return next((found for part, item in parts if (found := non_finite(item, part))), None)


def _plain(value: Any, depth: int, models: bool, nul: bool) -> Any:
    kind = type(value)
    if kind is str:
        if value.isascii():
            if nul or "\x00" not in value:
                return value
        return _text(value, nul)
    if kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        raise _Refused(f"{value} has no JSON form")
    if kind is dict:
        return _mapping(value, depth, models, nul)
    if kind is list or kind is tuple:
        return _sequence(value, depth, models, nul)
    return _other(value, depth, models, nul)


def _text(value: str, nul: bool) -> str:
    if not nul and "\x00" in value:
        raise _Refused("NUL characters cannot be stored here")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Refused("text with lone surrogates has no UTF-8 form") from None
    return value


def _mapping(value: Mapping[Any, Any], depth: int, models: bool, nul: bool) -> dict[str, Any]:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    found: dict[str, Any] = {}
    key: Any = None
    try:
        for key, item in value.items():
            if type(key) is not str:
                key = _key(key)
            if not key.isascii() or not nul:
                _text(key, nul)
            found[key] = _plain(item, depth + 1, models, nul)
    except _Refused as refused:
        refused.path.append(f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]")
        raise
    return found


def _key(key: object) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise _Refused(f"keys must be text, not {type(key).__name__}")


def _sequence(value: list[Any] | tuple[Any, ...], depth: int, models: bool, nul: bool) -> list[Any]:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    found: list[Any] = []
    try:
        for item in value:
            found.append(_plain(item, depth + 1, models, nul))
    except _Refused as refused:
        refused.path.append(f"[{len(found)}]")
        raise
    return found


def _other(value: Any, depth: int, models: bool, nul: bool) -> Any:
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if isinstance(value, str):
        return _text(str.__str__(value), nul)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _plain(float(value), depth, models, nul)
    if isinstance(value, Mapping):
        return _mapping(value, depth, models, nul)
    if isinstance(value, (list, tuple)):
        return _sequence(value, depth, models, nul)
    if models:
        return _model(value, depth, nul)
    _refuse(value)


def _model(value: Any, depth: int, nul: bool) -> Any:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels")
    dump: Callable[..., Any] | None = getattr(value, "model_dump", None)
    if callable(dump) and hasattr(type(value), "__pydantic_validator__"):
        try:
            dumped = dump(mode="json", by_alias=True)
            lost = non_finite(dump(), "")
        except ValueError as fault:
            raise _Refused(f"{type(value).__name__} cannot be written as JSON ({fault})") from None
        if lost is not None:
            refused = _Refused("NaN and infinity have no JSON form")
            refused.path.append(lost)
            raise refused
        return _plain(dumped, depth, True, nul)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _mapping(fields, depth, True, nul)
    _refuse(value)


def _refuse(value: object) -> NoReturn:
    raise _Refused(
        f"{type(value).__name__} is no JSON value; use str, int, float, bool, None, list, dict, datetime, "
        "date, UUID, Decimal or bytes"
    )


def _instant(value: datetime) -> str:
    if value.utcoffset() is None:
        raise _Refused("a datetime without time zone is ambiguous: make it aware, for instance in UTC")
    return value.isoformat()


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _Refused(f"{value} has no JSON form")
    return str(value)


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (datetime, _instant),
    (date, date.isoformat),
    (UUID, str),
    (Decimal, _decimal),
    ((bytes, bytearray, memoryview), _bytes),
)
