"""Figures and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Figure", "Results", "figures_table"]

_SHARES = ("floor", "empty", "the best number of processes")
"""What a figure is a share of; of anything else it is a multiple."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``against`` is what it is compared with, measured in the same run."""

    name: str
    value: float
    unit: str
    against: float | None = None
    compared_with: str | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value in terms of what it is compared with."""
        return None if not self.against else self.value / self.against


@dataclass(frozen=True, slots=True)
class Results:
    """Everything measured in one run."""

    facts: dict[str, object]
    settings: dict[str, object]
    figures: list[Figure] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "facts": self.facts,
            "settings": self.settings,
            "figures": [
                {
                    "name": figure.name,
                    "value": figure.value,
                    "unit": figure.unit,
                    "against": figure.against,
                    "compared_with": figure.compared_with,
                    "ratio": figure.ratio,
                    "note": figure.note,
                }
                for figure in self.figures
            ],
        }


def figures_table(figures: Sequence[Figure]) -> Table:
    """For people."""
    from ..rendering import table

    rows = [
        (
            figure.name,
            _number(figure.value),
            figure.unit,
            "" if figure.against is None else _number(figure.against),
            figure.compared_with or "",
            _ratio(figure),
            figure.note,
        )
        for figure in figures
    ]
    return table(None, ("figure", "#value", "unit", "#against", "", "#ratio", "note"), rows)


def _ratio(figure: Figure) -> str:
    ratio = figure.ratio
    if ratio is None:
        return ""
    as_share = figure.compared_with in _SHARES or (figure.compared_with or "").startswith("the first")
    return f"{ratio:.0%}" if as_share else f"{ratio:.1f} ×"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"
