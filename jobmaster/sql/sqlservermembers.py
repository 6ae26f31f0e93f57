"""Equality of JSON values on SQL Server.

T-SQL compares texts; it has no value that is a JSON array or object. So a value is taken apart: every leaf is
compared at its own place, every array and object by its kind and length. A place is reached member by member
with OPENJSON, which takes names as they are; a path would have to quote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .sqlservertables import COLLATION

__all__ = ["same_member"]

_NULL, _NUMBER, _ARRAY, _OBJECT = 0, 2, 4, 5
"""Kinds of value as OPENJSON numbers them."""


def same_member(number: int, key: str, value: Any) -> tuple[str, dict[str, Any]]:
    """See :meth:`.dialect.Dialect.same_member`."""
    conditions: list[str] = []
    given: dict[str, Any] = {}
    for place, (path, part) in enumerate(_parts((key,), value)):
        sources: list[str] = []
        tests: list[str] = []
        for depth, step in enumerate(path):
            name = f"step_{number}_{place}_{depth}"
            given[name] = step
            opened = f"CROSS APPLY {_inside(f'm{depth - 1}')}" if depth else "OPENJSON(j.metadata)"
            sources.append(f"{opened} AS m{depth}")
            tests.append(_same_text(f"m{depth}.[key]", _text(name)))
        last = f"m{len(path) - 1}"
        if isinstance(part, (list, tuple, dict)):
            kind = _OBJECT if isinstance(part, dict) else _ARRAY
            tests.append(f"{last}.type = {kind}")
            tests.append(f"(SELECT count(*) FROM {_inside(last)} AS n) = {len(part)}")
        else:
            name = f"wanted_{number}_{place}"
            given[name] = json.dumps([part], ensure_ascii=False)
            sources.append(f"CROSS JOIN OPENJSON({_text(name)}) AS w")
            tests.append(_same_leaf(last))
        conditions.append(f"EXISTS (\n  SELECT 1 FROM {' '.join(sources)}\n  WHERE {' AND '.join(tests)})")
    return f"({' AND '.join(conditions)})", given


def _parts(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The value and all that is in it, each with the names that lead to it; places of arrays are names."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _parts((*path, key), inner)
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from _parts((*path, str(place)), inner)


def _inside(alias: str) -> str:
    # Anything but an array or object would be an error here, whatever else the query says about its kind.
    return f"OPENJSON(CASE WHEN {alias}.type IN ({_ARRAY}, {_OBJECT}) THEN {alias}.value END)"


def _text(name: str) -> str:
    return f"CAST(:{name} AS NVARCHAR(MAX))"


def _same_text(found: str, wanted: str) -> str:
    # The comparison itself ignores blanks at the end.
    return f"{found} COLLATE {COLLATION} = {wanted} AND DATALENGTH({found}) = DATALENGTH({wanted})"


def _same_leaf(alias: str) -> str:
    """Numbers are the same however they are written; whole ones may have more digits than a FLOAT holds."""
    written = f"({alias}.value LIKE N'%[.eE]%' OR w.value LIKE N'%[.eE]%')"
    as_numbers = f"TRY_CONVERT(FLOAT, {alias}.value) = TRY_CONVERT(FLOAT, w.value)"
    return (
        f"{alias}.type = w.type AND (w.type = {_NULL} OR {_same_text(f'{alias}.value', 'w.value')}\n"
        f"    OR w.type = {_NUMBER} AND {written} AND {as_numbers})"
    )
