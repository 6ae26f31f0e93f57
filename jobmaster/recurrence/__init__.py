"""When something is due: cron, natural expressions, RRULE and intervals as pure functions of time.

``parse`` reads a text of any kind; ``cron``, ``natural``, ``rrule`` and ``interval`` read one kind;
``every``, ``at``, ``on``, ``daily`` and their like begin a fluent expression. What they return is a
``Recurrence``. This room does no I/O but reading tz data, has no clock, and imports nothing of jobmaster but
the errors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..errors import Problem, RecurrenceSyntaxError
    from .beginnings import (
        at,
        daily,
        every,
        hourly,
        minutely,
        monthly,
        on,
        secondly,
        weekdays,
        weekends,
        weekly,
        yearly,
    )
    from .boundedrule import bounded
    from .builder import Builder, Month, Weekday
    from .cronrule import cron
    from .identity import occurrence_id
    from .intervalrule import interval
    from .kinds import kind_of, parse
    from .naturalrule import natural
    from .protocol import Explanation, Occurrence, Recurrence
    from .rrulerule import rrule

_HOME = {
    "beginnings": (
        "at",
        "daily",
        "every",
        "hourly",
        "minutely",
        "monthly",
        "on",
        "secondly",
        "weekdays",
        "weekends",
        "weekly",
        "yearly",
    ),
    "boundedrule": ("bounded",),
    "builder": ("Builder", "Month", "Weekday"),
    "cronrule": ("cron",),
    "identity": ("occurrence_id",),
    "intervalrule": ("interval",),
    "kinds": ("kind_of", "parse"),
    "naturalrule": ("natural",),
    "protocol": ("Explanation", "Occurrence", "Recurrence"),
    "rrulerule": ("rrule",),
}
_MODULE_OF = {name: f".{module}" for module, names in _HOME.items() for name in names}
_MODULE_OF.update(dict.fromkeys(("Problem", "RecurrenceSyntaxError"), "..errors"))

__all__ = [
    "Builder",
    "Explanation",
    "Month",
    "Occurrence",
    "Problem",
    "Recurrence",
    "RecurrenceSyntaxError",
    "Weekday",
    "at",
    "bounded",
    "cron",
    "daily",
    "every",
    "hourly",
    "interval",
    "kind_of",
    "minutely",
    "monthly",
    "natural",
    "occurrence_id",
    "on",
    "parse",
    "rrule",
    "secondly",
    "weekdays",
    "weekends",
    "weekly",
    "yearly",
]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'jobmaster.recurrence' has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
