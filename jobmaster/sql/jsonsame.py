"""Whether JSON values are the same, for engines that cannot tell."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_member"]


def json_member(text: str | None, key: str, wanted: str) -> bool:
    """Whether the JSON object ``text`` has the JSON value ``wanted`` under this key, whatever the order of
    names inside it and however its numbers are written."""
    if text is None:
        return False
    found = json.loads(text)
    return key in found and _same(found[key], json.loads(wanted))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
