"""What names may look like: clusters, agents, workers, lanes, definition ids, keys, prefixes."""

from __future__ import annotations

import re

__all__ = [
    "check_definition_id",
    "check_name",
    "check_prefix",
    "check_schedule_id",
    "check_schema",
    "check_unique_key",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_name(kind: str, value: object) -> str | None:
    """The fault of a cluster, agent, worker or lane name, or ``None`` when it is well formed."""
    if not isinstance(value, str):
        return f"{kind} must be text, not {type(value).__name__}"
    if not _NAME.fullmatch(value):
        return (
            f"{kind} {value!r} is not a valid name: 1 to 64 of A-Z a-z 0-9 _ -, "
            "beginning with a letter or digit"
        )
    return None


def _check_text(kind: str, value: object, longest: int) -> str | None:
    if not isinstance(value, str):
        return f"{kind} must be text, not {type(value).__name__}"
    if not value or len(value) > longest:
        return f"{kind} must have 1 to {longest} characters, not {len(value)}"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value):
        return f"{kind} {value!r} holds control characters or lone surrogates"
    return None


def check_definition_id(value: object) -> str | None:
    """The fault of a definition id (1 to 200 characters, no control characters), or ``None``."""
    return _check_text("definition id", value, 200)


def check_unique_key(value: object) -> str | None:
    """The fault of a unique key (1 to 255 characters, no control characters), or ``None``."""
    return _check_text("unique_key", value, 255)


def check_schedule_id(value: object, kind: str = "schedule id") -> str | None:
    """The fault of a schedule or profile id (1 to 255 characters, no control characters, no blanks around
    it), or ``None``."""
    if isinstance(value, str) and value != value.strip():
        return f"{kind} {value!r} begins or ends with a blank"
    return _check_text(kind, value, 255)


def check_prefix(value: object) -> str | None:
    """The fault of a table prefix (an SQL identifier of at most 30 characters), or ``None``."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or len(value) > 30:
        return f"table prefix {value!r} must be an SQL identifier of 1 to 30 characters (A-Z a-z 0-9 _)"
    return None


def check_schema(value: object) -> str | None:
    """The fault of a schema name (an SQL identifier of at most 63 characters), or ``None``."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or len(value) > 63:
        return f"schema {value!r} must be an SQL identifier of 1 to 63 characters (A-Z a-z 0-9 _)"
    return None
