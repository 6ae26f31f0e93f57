"""Writes for many rows at once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bulk", "columns", "insert", "prefixed"]


@dataclass(frozen=True, slots=True)
class Bulk:
    """A write for many rows: ``whole`` from the table ``a`` of rows, or ``each`` in turn for every row."""

    columns: tuple[tuple[str, str], ...]
    whole: str
    each: tuple[str, ...]


def columns(text: str) -> tuple[tuple[str, str], ...]:
    """Names and kinds from a text such as ``id uuid, claim_no int``."""
    pairs = (part.split() for part in text.split(","))
    return tuple((name, kind) for name, kind in pairs)


def prefixed(prefix: str, names: str) -> str:
    """A list of names, each with a prefix."""
    return ", ".join(prefix + name for name in names.split(", "))


def insert(table: str, kinds: str) -> Bulk:
    """A plain insert: an id that is there already is a unique violation."""
    found = columns(kinds)
    names = ", ".join(name for name, _ in found)
    into = f"INSERT INTO {{table:{table}}} ({names})"
    whole, each = f"{into} SELECT {prefixed('a.', names)} FROM a", f"{into} VALUES ({prefixed(':', names)})"
    return Bulk(found, whole, (each,))
