"""What MySQL and MariaDB need said about the statements that move jobs between the stores of a cluster."""

from __future__ import annotations

from .movestatements import MOVE_BULK, MOVES

__all__ = ["MOVE_FORMS", "MOVE_HOT"]

_PRIMARY = "FORCE INDEX (PRIMARY)"
_READY = "FORCE INDEX ({index:job_ready})"
_UNSYNCED = "FORCE INDEX ({index:job_unsynced})"
_FINISHED = "FORCE INDEX ({index:history_finished})"

_HINTS = {
    "unsynced_lock": ("job", _UNSYNCED),
    "synced": ("job", _PRIMARY),
    "jobs_there": ("job", _PRIMARY),
    "copies_lock": ("job", _PRIMARY),
    "holders": ("job", _PRIMARY),
    "ended_there": ("history", _PRIMARY),
    "outbox_lock": ("history", _FINISHED),
    "job_pin": ("job", _PRIMARY),
    "taken": ("job", _PRIMARY),
    "backlog": ("job", _READY),
    "held_due": ("job", _READY),
    "held_placed": ("job", _PRIMARY),
    "placed": ("job", _PRIMARY),
    "placement_doubted": ("job", _PRIMARY),
    "unplaced": ("job", _UNSYNCED),
    "mirrors": ("job", _READY),
}


def _hinted(name: str) -> str:
    table, hint = _HINTS[name]
    place = f"{{table:{table}}}"
    return MOVES[name].replace(place, f"{place} {hint}", 1)


MOVE_HOT = {name: _hinted(name) for name in _HINTS}
"""The neutral statements with the index that they are to use."""


def _insert(name: str, table: str) -> str:
    columns = ", ".join(column for column, _ in MOVE_BULK[name].columns)
    return f"INSERT INTO {{table:{table}}} ({columns}) VALUES :values"


MOVE_FORMS = {"job_put": (_insert("job_put", "job"),), "history_put": (_insert("history_put", "history"),)}
"""See :data:`.mysqlstatements.BULK_FORMS`."""
