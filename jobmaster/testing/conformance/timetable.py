"""A store of schedules under test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...domain.ids import uuid7
from ...domain.job import NewJob
from ...domain.schedule import (
    ScheduleRecord,
)
from ...ports import Decision, ScheduleStore
from .stores import Stores

__all__ = ["Timetable"]

_MINUTE = timedelta(minutes=1)


@dataclass
class Timetable:
    """A store of schedules, and the stores of the same database that hold jobs."""

    schedules: ScheduleStore
    stores: Stores

    @property
    def now(self) -> datetime:
        """The store's present, without a fraction."""
        return self.stores.master.now().replace(microsecond=0)

    def record(self, schedule_id: str = "one", **options: Any) -> ScheduleRecord:
        """A schedule every minute, due a minute ago unless ``options`` say otherwise."""
        now = self.now
        values: dict[str, Any] = {
            "id": schedule_id,
            "definition_id": "conformance",
            "kind": "interval",
            "expression": "1m",
            "time_zone": None,
            "data": "{}",
            "anchor": now - timedelta(days=1),
            "created_at": now,
            "updated_at": now,
            "cursor_at": now - 2 * _MINUTE,
            "next_run_at": now - _MINUTE,
            "due_at": now - _MINUTE,
            **options,
        }
        return ScheduleRecord(**values)

    def put(self, schedule_id: str = "one", **options: Any) -> ScheduleRecord:
        """Store one."""
        record = self.record(schedule_id, **options)
        self.schedules.change(schedule_id, lambda old, now, runs: Decision(record))
        return record

    def job(self, record: ScheduleRecord, at: datetime, **options: Any) -> NewJob:
        """An occurrence."""
        values: dict[str, Any] = {
            "id": uuid7(),
            "definition_id": record.definition_id,
            "data": "{}",
            "run_at": at,
            "schedule_id": record.id,
            "occurrence_at": at,
            **options,
        }
        return NewJob(**values)

    def get(self, schedule_id: str = "one") -> ScheduleRecord:
        """The stored schedule, which must exist."""
        found = self.schedules.get(schedule_id)
        assert found is not None, f"no schedule {schedule_id}"
        return found
