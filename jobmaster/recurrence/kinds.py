"""Which kind of recurrence a text is, and the kinds that other packages bring."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import cast

from .crontab import MACROS
from .foundation import checked_text
from .intervaltext import is_interval
from .protocol import KINDS, Recurrence
from .words import CLAUSE_WORDS

ENTRY_POINTS = "jobmaster.recurrence"
_MODULES = MappingProxyType(
    {"cron": "cronrule", "natural": "naturalrule", "rrule": "rrulerule", "interval": "intervalrule"}
)
_RRULE = re.compile(r"\s*(?:FREQ=|RRULE:|DTSTART|EXDATE)", re.IGNORECASE)
_PREFIX = re.compile(r"[ \t]*(?:CRON_)?TZ=[^ \t]*", re.IGNORECASE)

Factory = Callable[[str, str | None, datetime | None], Recurrence]
"""Makes a recurrence of another kind from its text, time zone and anchor."""


def kind_of(text: str) -> str:
    """The kind of a text by its form: rrule, interval, cron, else natural."""
    if _RRULE.match(text):
        return "rrule"
    if is_interval(text):
        return "interval"
    prefix = _PREFIX.match(text)
    rest = (text[prefix.end() :] if prefix else text).strip(" \t")
    fields = re.split(r"[ \t]+", rest)
    if len(fields) == 1 and rest.startswith("@"):
        return "cron" if rest.lower() in MACROS or rest[1:].lower() not in CLAUSE_WORDS else "natural"
    if len(fields) in (5, 6) and (rest[0] in "*?" or "0" <= rest[0] <= "9"):
        return "cron"
    if len(fields) > 6 and any(field in ("*", "?") for field in fields):
        return "cron"  # it has too many fields, and says so
    return "natural"


def parse(
    text: str, *, kind: str | None = None, time_zone: str | None = None, anchor: datetime | None = None
) -> Recurrence:
    """Read a text of any kind; without ``kind`` its form decides.

    A natural expression, an interval and a bare RRULE need an anchor before they can be asked for
    occurrences; a schedule supplies its own. An unknown ``kind`` is looked for among the entry points of
    the group ``jobmaster.recurrence``, and is a ``ValueError`` if none has its name. Raises
    ``RecurrenceSyntaxError`` for a text that cannot be read::

        parse("*/5 * * * *")
        parse("every weekday at 18:00", time_zone="Europe/Paris", anchor=datetime.now(UTC))
    """
    checked_text(text)
    name = kind_of(text) if kind is None else kind
    if name in _MODULES:
        reader = getattr(import_module(f".{_MODULES[name]}", __package__), name)
        return cast("Recurrence", reader(text, time_zone=time_zone, anchor=anchor))
    return _factory(name)(text, time_zone, anchor)


def _factory(kind: str) -> Factory:
    from importlib.metadata import entry_points

    found = list(entry_points(group=ENTRY_POINTS, name=kind))
    if not found:
        known = ", ".join(KINDS)
        raise ValueError(
            f"unknown kind of recurrence {kind!r}: neither {known} nor an entry point of {ENTRY_POINTS}"
        )
    return cast("Factory", found[0].load())
