"""Equality of JSON values on MySQL and MariaDB.

The servers have no comparison of JSON in common: MariaDB has no JSON type and compares text, and
``JSON_CONTAINS`` takes ``[2, 1]`` for ``[1, 2]``. So a value is taken apart: every leaf is compared at its
own path, every array and object by its kind and length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["same_member"]

_NUMBERS = "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'"


def same_member(number: int, key: str, value: Any) -> tuple[str, dict[str, Any]]:
    """See :meth:`.dialect.Dialect.same_member`."""
    conditions: list[str] = []
    given: dict[str, Any] = {}
    for place, (path, leaf) in enumerate(_parts(f"$.{_quoted(key)}", value)):
        name = f"path_{number}_{place}"
        given[name] = path
        at = f"JSON_EXTRACT(j.metadata, :{name})"
        conditions.append(f"JSON_TYPE({at}) IN ({_kind(leaf)})")
        wanted = f"wanted_{number}_{place}"
        if isinstance(leaf, (list, tuple, dict)):
            conditions.append(f"JSON_LENGTH({at}) = {len(leaf)}")
        elif isinstance(leaf, bool) or leaf is None:
            conditions[-1] += f" AND JSON_CONTAINS({at}, '{json.dumps(leaf)}')"
        elif isinstance(leaf, str):
            given[wanted] = leaf.encode()
            conditions.append(f"CAST(JSON_UNQUOTE({at}) AS BINARY) = :{wanted}")
        else:
            given[wanted] = json.dumps(leaf)
            conditions.append(f"JSON_CONTAINS({at}, :{wanted})")
    return f"({' AND '.join(conditions)})", given


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _parts(f"{path}.{_quoted(key)}", inner)
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from _parts(f"{path}[{place}]", inner)


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _kind(value: Any) -> str:
    if value is None:
        return "'NULL'"
    if isinstance(value, bool):
        return "'BOOLEAN'"
    if isinstance(value, str):
        return "'STRING'"
    if isinstance(value, dict):
        return "'OBJECT'"
    return "'ARRAY'" if isinstance(value, (list, tuple)) else _NUMBERS
