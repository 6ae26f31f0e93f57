"""What every recurrence offers, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from ..errors import Problem

KINDS = ("cron", "natural", "rrule", "interval")
MOST_EXPLAINED = 1000


@runtime_checkable
class Recurrence(Protocol):
    """When something is due: a pure function from an instant to the next one.

    ``kind`` is ``cron``, ``natural``, ``rrule``, ``interval`` or that of an entry point. ``expression`` is
    the canonical text: parsing it again, with the same zone and anchor where it names none, gives an equal
    recurrence. ``time_zone`` is the zone it is evaluated in, ``None`` for intervals.
    """

    @property
    def kind(self) -> str: ...

    @property
    def expression(self) -> str: ...

    @property
    def time_zone(self) -> str | None: ...

    @property
    def warnings(self) -> tuple[Problem, ...]: ...

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence after an aware instant, as UTC; ``None`` if there is none in 50 years.

        A naive ``datetime`` is a ``TypeError``. The answer depends on the recurrence, the instant and the
        installed tz data only.
        """

    def describe(self) -> str:
        """One line of English that says everything, what the anchor supplied included."""

    def explain(self, after: datetime, count: int = 5) -> Explanation:
        """What the recurrence is, and its next ``count`` occurrences (at most 1000) after an instant.

        What exceptions drop on the way is shown too, with the remark ``excepted``, and not counted.
        """


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence: the instant in UTC, the local time with its offset, and a remark where one applies."""

    instant: datetime
    local: datetime
    remark: str = ""

    def __str__(self) -> str:
        remark = f"  ({self.remark})" if self.remark else ""
        at = self.instant.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
        return f"{at}Z  {self.local.isoformat(sep=' ')}{remark}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A recurrence in full. ``classes`` are those of the rules for clock changes that apply to it."""

    kind: str
    expression: str
    description: str
    time_zone: str | None
    anchor: datetime | None
    classes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    occurrences: tuple[Occurrence, ...]

    def __str__(self) -> str:
        lines = [
            self.description,
            f"kind        {self.kind}",
            f"expression  {self.expression}",
            f"time zone   {self.time_zone or 'none: real time'}",
        ]
        if self.anchor is not None:
            lines.append(f"anchor      {self.anchor.isoformat()}")
        if self.classes:
            lines.append(f"classes     {', '.join(self.classes)}")
        lines.extend(f"warning     {warning}" for warning in self.warnings)
        lines.extend(f"next        {occurrence}" for occurrence in self.occurrences)
        return "\n".join(lines)
