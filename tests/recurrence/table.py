"""The rows of the vector tables beside the tests."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class Row:
    """One vector; ``expected`` ends with ``None`` where the recurrence does."""

    kind: str
    expression: str
    time_zone: str | None
    anchor: datetime | None
    base: datetime | None
    expected: tuple[datetime | None, ...]
    error_offset: int | None
    note: str


def rows(name: str) -> Iterator[Row]:
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            base = instant(row["base"]) if row["base"] else None
            failing = row["expected"] == "ERROR"
            words = [] if failing else row["expected"].split()
            yield Row(
                row["kind"],
                row["expression"],
                row["time_zone"] or None,
                instant(row["anchor"]) if row["anchor"] else base,
                base,
                tuple(None if word == "END" else instant(word) for word in words),
                int(row["error_offset"]) if failing else None,
                row["note"],
            )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
