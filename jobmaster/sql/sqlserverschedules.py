"""What SQL Server needs said about the statements of schedules.

Where rows are looked for, the index is named: a plan made while the table was empty would read, and lock,
every row.
"""

from __future__ import annotations

from .schedulestatements import MOVED, SCHEDULES
from .sqlservermoves import LOCKS, LOOKS, SKIPPING

__all__ = ["SCHEDULE_FORMS", "SCHEDULE_OWN"]

_OF_SCHEDULE = "INDEX({index:job_schedule})"


def _with(name: str, place: str, written: str) -> str:
    text = SCHEDULES[name]
    if text.count(place) != 1:
        raise ValueError(f"{name} does not say {place} once")
    return text.replace(place, written)


def _job(name: str, hints: str = f"ROWLOCK, {_OF_SCHEDULE}") -> str:
    return _with(name, "{table:job}", f"{{table:job}} WITH ({hints})")


SCHEDULE_OWN: dict[str, str] = {
    "schedule_look": _with(
        "schedule_look",
        "{table:schedule}",
        f"{{table:schedule}} WITH ({LOOKS}, INDEX({{index:schedule_due}}))",
    ),
    "schedule_due": _with(
        "schedule_due", "{skips:schedule}", f" WITH ({SKIPPING}, INDEX({{index:schedule_due}}))"
    ).replace("WHERE due_at <=", "WHERE due_at IS NOT NULL AND due_at <="),
    "schedule_lock": _with("schedule_lock", "{locks:schedule}", f" WITH ({LOCKS}, HOLDLOCK)"),
    "schedule_runs": _job("schedule_runs").replace("{in:schedules}", "{in_texts:schedules}"),
    "schedule_jobs": _job("schedule_jobs"),
    "schedule_live": _job("schedule_live"),
    "schedule_waiting": _with("schedule_waiting", "{locks:job}", f" WITH ({LOCKS}, {_OF_SCHEDULE})"),
    "schedule_unstarted": _with("schedule_unstarted", "{skips:job}", f" WITH ({SKIPPING}, {_OF_SCHEDULE})"),
    "schedule_rewrite": """
UPDATE t
SET definition_id = :definition_id, lane = :lane, priority = :priority, data = :data, metadata = :metadata,
    timeout_ms = :timeout_ms, max_retries = :max_retries, retry = :retry, agent = :agent, unknown_since = NULL
FROM {listed:ids} AS a INNER LOOP JOIN {table:job} AS t WITH (ROWLOCK) ON t.id = a.id""",
    "schedule_release": """
UPDATE t SET run_at = {now}
FROM {listed:ids} AS a INNER LOOP JOIN {table:job} AS t WITH (ROWLOCK) ON t.id = a.id""",
}
"""Statements of :data:`.schedulestatements.SCHEDULES` in T-SQL."""

_MOVES = ", ".join(f"{name} = a.{name}" for name in MOVED.split(", "))
SCHEDULE_FORMS: dict[str, tuple[str, ...]] = {
    "schedule_move": (
        f"""
UPDATE s SET {_MOVES}
FROM {{rows}} AS a INNER LOOP JOIN {{table:schedule}} AS s WITH (ROWLOCK) ON s.schedule_id = a.schedule_id""",
    )
}
"""Statements for many rows, as :mod:`.sqlserverstatements` reads them."""
