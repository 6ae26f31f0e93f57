"""A bounded recurrence that is given as a schedule: its bounds become those of the schedule."""

from __future__ import annotations

from dataclasses import replace

from ..recurrence.boundedrule import BoundedRecurrence
from ..recurrence.foundation import checked_zone
from .drafts import ScheduleOptions
from .expressions import ScheduleExpression, dates, unbounded

__all__ = ["apart"]


def apart(
    schedule: ScheduleExpression, options: ScheduleOptions
) -> tuple[ScheduleExpression, ScheduleOptions]:
    """The recurrence alone, and the options with its bounds among them; both as they are for any other.

    Raises ``ValueError`` for a bound that stands in both places.
    """
    if not isinstance(schedule, BoundedRecurrence):
        return schedule, options
    bounds = unbounded(schedule)
    excluded = dates(options.excluded_dates)
    for name, inside, outside in (
        ("start_after", bounds.start_after, options.start_after),
        ("end_before", bounds.end_before, options.end_before),
        ("excluded_dates", bounds.excluded_dates or None, excluded or None),
    ):
        if inside is not None and outside is not None:
            raise ValueError(
                f"{name} is given twice, by bounded(...) and as an option: leave one of them out"
            )
    return bounds.recurrence, replace(
        options,
        start_after=options.start_after or bounds.start_after,
        end_before=options.end_before or bounds.end_before,
        time_zone=bounds.agreed_zone(checked_zone(options.time_zone)),
        excluded_dates=excluded or tuple(sorted(bounds.excluded_dates)),
    )
