"""What every ``ScheduleStore`` must do besides planning: find, renew and delete schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ...domain.schedule import (
    ScheduleFilter,
    ScheduleStatus,
)
from .timetable import Timetable

__all__ = ["ScheduleUpkeepConformance"]

_MINUTE = timedelta(minutes=1)


class ScheduleUpkeepConformance:
    """Part of :class:`.schedules.ScheduleStoreConformance`."""

    def test_schedules_are_found_by_pages_and_filters(self, timetable: Timetable) -> None:
        for number in range(5):
            timetable.put(
                f"s{number}",
                definition_id="even" if number % 2 == 0 else "odd",
                profile_id="p" if number < 2 else None,
                status=ScheduleStatus.PAUSED if number == 4 else ScheduleStatus.ACTIVE,
            )
        find = timetable.schedules.find
        everything = ScheduleFilter()
        assert [r.id for r in find(everything, 3, None)] == ["s0", "s1", "s2"]
        assert [r.id for r in find(everything, 3, "s2")] == ["s3", "s4"]
        assert [r.id for r in find(ScheduleFilter(definition_id="odd"), 9, None)] == ["s1", "s3"]
        assert [r.id for r in find(ScheduleFilter(definition_id="odd "), 9, None)] == []
        assert [r.id for r in find(ScheduleFilter(status=ScheduleStatus.PAUSED), 9, None)] == ["s4"]
        assert [r.id for r in find(ScheduleFilter(profile_id="p"), 9, None)] == ["s0", "s1"]
        assert timetable.schedules.ids_of("p") == {"s0", "s1"}
        assert timetable.schedules.ids_of("q") == frozenset()
        assert timetable.schedules.profiles() == {"p"}

    def test_schedules_of_other_tz_data_are_found(self, timetable: Timetable) -> None:
        for number in range(4):
            timetable.put(f"s{number}", zone_data="old" if number else None)
        timetable.put("new", zone_data="new")
        timetable.put("paused", zone_data="old", due_at=None, status=ScheduleStatus.PAUSED)
        assert timetable.schedules.outdated("new", 2, None) == ["s0", "s1"]
        assert timetable.schedules.outdated("new", 9, "s1") == ["s2", "s3"]

    def test_old_ends_are_pruned(self, timetable: Timetable) -> None:
        old = timetable.now - timedelta(days=2)
        ended: dict[str, Any] = {"status": ScheduleStatus.ENDED, "due_at": None}
        timetable.put("old", cursor_at=old, **ended)
        timetable.put("new", **ended)
        timetable.put("declared", cursor_at=old, profile_id="p", **ended)
        timetable.put("active", cursor_at=old)
        assert timetable.schedules.prune(timedelta(days=1), 10) == 1
        assert [r.id for r in timetable.schedules.find(ScheduleFilter(), 9, None)] == [
            "active",
            "declared",
            "new",
        ]
