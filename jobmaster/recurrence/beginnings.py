"""How a fluent expression begins: ``every``, ``at``, ``on``, ``daily`` and their like."""

from __future__ import annotations

from typing import overload

from .builder import Builder, Every, Value, clause, listed_texts


@overload
def every(n: int = 1, /) -> Every: ...
@overload
def every(weekday: str, /, *others: str) -> Builder: ...
def every(first: int | str = 1, /, *others: str) -> Every | Builder:
    """A cadence: ``every(2).weeks()``, or ``every("mon", "wed")`` for weekdays.

    Raises ``RecurrenceSyntaxError`` for a number outside 1 to 1 000 000, once the unit is known::

        every(1).day().at("18:00").between("mon", "fri").in_time_zone("America/New_York")
    """
    if isinstance(first, int):
        return Every(first)
    return Builder(clause("every", f"every {', '.join((first, *others))}", "cadence"))


def at(*values: Value) -> Builder:
    """At some times of every day: ``at("09:00")``."""
    return Builder(clause("at", f"at {listed_texts('at', values)}", "points"))


def on(*values: Value) -> Builder:
    """On some weekdays, days or dates: ``on("15th")``."""
    return Builder(clause("on", f"on {listed_texts('on', values)}", "points"))


def weekdays() -> Builder:
    """From Monday to Friday."""
    return Builder(clause("weekdays", "every weekday", "cadence"))


def weekends() -> Builder:
    """On Saturday and Sunday."""
    return Builder(clause("weekends", "every weekend", "cadence"))


def secondly() -> Builder:
    """Every second of real time."""
    return Every(1).seconds()


def minutely() -> Builder:
    """Every minute of real time, counted from the anchor."""
    return Every(1).minutes()


def hourly() -> Builder:
    """Every hour of real time, counted from the anchor."""
    return Every(1).hours()


def daily() -> Builder:
    """Every day."""
    return Every(1).days()


def weekly() -> Builder:
    """Every week."""
    return Every(1).weeks()


def monthly() -> Builder:
    """Every month."""
    return Every(1).months()


def yearly() -> Builder:
    """Every year."""
    return Every(1).years()
