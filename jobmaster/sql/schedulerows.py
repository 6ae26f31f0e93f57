"""Schedules as rows. What nobody looks for in SQL is one JSON text: the options that differ from the
default."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

from ..domain.schedule import MisfirePolicy, OverlapPolicy, ScheduleRecord, ScheduleStatus
from ..domain.status import Priority
from ..errors import StoreError
from .dialect import Dialect
from .schedulestatements import MOVED, SCHEDULE_COLUMNS
from .tables import from_micros, to_micros

__all__ = ["UnreadableSchedule", "move_row", "record_of", "row_values"]

_MICROSECOND = timedelta(microseconds=1)


def _micros(value: timedelta) -> int:
    return value // _MICROSECOND


def _span(value: int) -> timedelta:
    return value * _MICROSECOND


def _dates(value: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in value]


def _read_dates(value: Sequence[str]) -> tuple[date, ...]:
    return tuple(map(date.fromisoformat, value))


def _same(value: Any) -> Any:
    return value


_CODEC: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "priority": (int, Priority),
    "timeout": (_micros, _span),
    "max_retries": (_same, _same),
    "retry": (_same, _same),
    "agent": (_same, _same),
    "start_after": (to_micros, from_micros),
    "end_before": (to_micros, from_micros),
    "excluded_dates": (_dates, _read_dates),
    "misfire": (lambda policy: policy.value, MisfirePolicy),
    "misfire_grace": (_micros, _span),
    "misfire_cap": (_same, _same),
    "catchup_window": (_micros, _span),
    "overlap": (lambda policy: policy.value, OverlapPolicy),
    "buffer_limit": (_same, _same),
    "jitter": (_micros, _span),
}
"""The options in the JSON text: how each is written and read."""
_DEFAULTS = {field.name: field.default for field in fields(ScheduleRecord) if field.name in _CODEC}
_COLUMNS = SCHEDULE_COLUMNS.split(", ")
_MOVED = MOVED.split(", ")
_INSTANTS = frozenset(name for name in _COLUMNS if name == "anchor" or name.endswith(("_at", "_from", "_to")))


class UnreadableSchedule(StoreError):
    """A stored schedule that this release cannot read."""

    def __init__(self, schedule_id: str, fault: Exception) -> None:
        self.schedule_id = schedule_id
        super().__init__(f"schedule {schedule_id!r} cannot be read: {type(fault).__name__}: {fault}")


def record_of(dialect: Dialect, row: Sequence[Any]) -> ScheduleRecord:
    """A record from ``SCHEDULE_COLUMNS``; :class:`UnreadableSchedule` for a row that holds something else."""
    try:
        return _record(dialect, row)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as fault:
        raise UnreadableSchedule(row[0], fault) from fault


def _record(dialect: Dialect, row: Sequence[Any]) -> ScheduleRecord:
    instant = dialect.instant
    values: dict[str, Any] = {
        name: instant(value) if name in _INSTANTS and value is not None else value
        for name, value in zip(_COLUMNS, row, strict=True)
    }
    for name, value in json.loads(values.pop("options")).items():
        values[name] = _CODEC[name][1](value)
    values["id"] = values.pop("schedule_id")
    values["status"] = ScheduleStatus(values["status"])
    return ScheduleRecord(**values)


def row_values(record: ScheduleRecord) -> dict[str, Any]:
    """The columns of a whole row."""
    options = {
        name: write(value)
        for name, (write, _) in _CODEC.items()
        if (value := getattr(record, name)) != _DEFAULTS[name]
    }
    values = {name: getattr(record, name) for name in _COLUMNS if name not in ("schedule_id", "options")}
    values |= {
        "schedule_id": record.id,
        "options": json.dumps(options, separators=(",", ":"), sort_keys=True),
        "status": record.status.value,
    }
    return values


def move_row(record: ScheduleRecord) -> tuple[Any, ...]:
    """A row of ``schedule_move``."""
    values = (getattr(record, name) for name in _MOVED)
    return (record.id, *(v.value if isinstance(v, ScheduleStatus) else v for v in values))
