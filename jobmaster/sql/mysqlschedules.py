"""What MySQL and MariaDB need said about the statements of schedules."""

from __future__ import annotations

from .schedulestatements import MOVED, SCHEDULES

__all__ = ["SCHEDULE_FORMS", "SCHEDULE_HOT"]

_PRIMARY = "FORCE INDEX (PRIMARY)"
_OF_SCHEDULE = "FORCE INDEX ({index:job_schedule})"
_HINTS = {
    "schedule_due": ("schedule", "FORCE INDEX ({index:schedule_due})"),
    "schedule_lock": ("schedule", _PRIMARY),
    "schedule_runs": ("job", _OF_SCHEDULE),
    "schedule_jobs": ("job", _OF_SCHEDULE),
    "schedule_live": ("job", _OF_SCHEDULE),
    "schedule_waiting": ("job", _OF_SCHEDULE),
    "schedule_unstarted": ("job", _OF_SCHEDULE),
    "schedule_rewrite": ("job", _PRIMARY),
    "schedule_release": ("job", _PRIMARY),
}


def _hinted(name: str) -> str:
    table, hint = _HINTS[name]
    place = f"{{table:{table}}}"
    return SCHEDULES[name].replace(place, f"{place} {hint}", 1)


SCHEDULE_HOT = {name: _hinted(name) for name in _HINTS}
"""The neutral statements with the index that they are to use."""

_MOVES = ",\n    ".join(f"s.{name} = a.{name}" for name in MOVED.split(", "))
SCHEDULE_FORMS = {
    "schedule_move": (
        f"""
UPDATE (:rows) a STRAIGHT_JOIN {{table:schedule}} s {_PRIMARY} ON s.schedule_id = a.schedule_id
SET {_MOVES}""",
    )
}
"""See :data:`.mysqlstatements.BULK_FORMS`."""
