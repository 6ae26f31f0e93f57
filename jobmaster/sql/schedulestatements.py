"""Statements about schedules and their jobs, in the neutral text of :mod:`.statements`."""

from __future__ import annotations

from .bulk import Bulk, columns, prefixed

__all__ = ["SCHEDULES", "SCHEDULE_BULK", "SCHEDULE_COLUMNS"]

DECLARED = "definition_id, lane, kind, expression, time_zone, data, metadata, options, profile_id, anchor"
_KEPT = "created_at, updated_at, version"
_MOVES = (
    "status text, cursor_at timestamptz, next_run_at timestamptz, due_at timestamptz, "
    "last_run_at timestamptz, skipped bigint, missed bigint, missed_from timestamptz, "
    "missed_to timestamptz, failures int, error text, zone_data text"
)
MOVED = ", ".join(name for name, _ in columns(_MOVES))
SCHEDULE_COLUMNS = f"schedule_id, {DECLARED}, {_KEPT}, {MOVED}"
"""The columns of a row from which a ``ScheduleRecord`` is made, in order."""


def _set(names: str, prefix: str = ":") -> str:
    return ", ".join(f"{name} = {prefix}{name}" for name in names.split(", "))


SCHEDULES: dict[str, str] = {
    "schedule_look": "SELECT {now}, (SELECT min(due_at) FROM {table:schedule} WHERE due_at IS NOT NULL)",
    "schedule_due": f"""
SELECT {{top:limit}}{SCHEDULE_COLUMNS} FROM {{table:schedule}}{{skips:schedule}}
WHERE due_at <= {{now}} ORDER BY due_at, schedule_id {{limit:limit}} {{lock_skip}}""",
    "schedule_lock": f"""
SELECT {SCHEDULE_COLUMNS} FROM {{table:schedule}}{{locks:schedule}}
WHERE schedule_id = :schedule_id {{lock}}""",
    "schedule_get": f"SELECT {SCHEDULE_COLUMNS} FROM {{table:schedule}} WHERE schedule_id = :schedule_id",
    "schedule_put": (
        f"INSERT INTO {{table:schedule}} ({SCHEDULE_COLUMNS}) VALUES ({prefixed(':', SCHEDULE_COLUMNS)})"
    ),
    "schedule_set": f"""
UPDATE {{table:schedule}} SET {_set(DECLARED)}, {_set(_KEPT)}, {_set(MOVED)}
WHERE schedule_id = :schedule_id""",
    "schedule_set_aside": """
UPDATE {table:schedule} SET failures = failures + 1, error = :error, due_at = {now} + {span:pause}
WHERE schedule_id = :schedule_id""",
    "schedule_drop": "DELETE FROM {table:schedule} WHERE schedule_id = :schedule_id",
    "schedule_profile": "SELECT schedule_id FROM {table:schedule} WHERE profile_id = :profile_id",
    "schedule_profiles": "SELECT DISTINCT profile_id FROM {table:schedule} WHERE profile_id IS NOT NULL",
    "schedule_outdated": """
SELECT {top:limit}schedule_id FROM {table:schedule}
WHERE status = 'active' AND due_at IS NOT NULL AND schedule_id > :after
  AND (zone_data IS NULL OR zone_data <> :zone_data)
ORDER BY schedule_id {limit:limit}""",
    "schedule_ended": """
SELECT {top:limit}schedule_id FROM {table:schedule}{skips:schedule}
WHERE status = 'ended' AND profile_id IS NULL AND cursor_at <= {now} - {span:age}
ORDER BY schedule_id {limit:limit} {lock_skip}""",
    # --- their jobs -------------------------------------------------------------------------------
    "schedule_runs": """
SELECT schedule_id, sum(CASE WHEN run_at < :far THEN 1 ELSE 0 END),
       sum(CASE WHEN run_at < :far THEN 0 ELSE 1 END)
FROM {table:job} WHERE schedule_id IS NOT NULL AND schedule_id {in:schedules} GROUP BY schedule_id""",
    "schedule_jobs": """
SELECT id FROM {table:job} WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id""",
    "schedule_live": """
SELECT id, lane, metadata FROM {table:job}
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND run_at < :far
  AND (bucket_id IS NULL OR cancel_requested_at IS NULL) ORDER BY id""",
    "schedule_waiting": """
SELECT {top:limit}id, lane, metadata FROM {table:job}{locks:job}
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND run_at >= :far
ORDER BY occurrence_at {limit:limit} {lock}""",
    "schedule_unstarted": """
SELECT {top:limit}id, metadata FROM {table:job}{skips:job}
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND occurrence_at IS NOT NULL
  AND bucket_id IS NULL AND attempt = 0 {limit:limit} {lock_skip}""",
    "schedule_rewrite": """
UPDATE {table:job}
SET definition_id = :definition_id, lane = :lane, priority = :priority, data = :data, metadata = :metadata,
    timeout_ms = :timeout_ms, max_retries = :max_retries, retry = :retry, agent = :agent, unknown_since = NULL
WHERE id {in:ids}""",
    "schedule_release": "UPDATE {table:job} SET run_at = {now} WHERE id {in:ids}",
}

SCHEDULE_BULK: dict[str, Bulk] = {
    "schedule_move": Bulk(
        columns(f"schedule_id text, {_MOVES}"),
        f"""
UPDATE {{table:schedule}} s SET {_set(MOVED, "a.")}
FROM a WHERE s.schedule_id = a.schedule_id""",
        (f"UPDATE {{table:schedule}} SET {_set(MOVED)} WHERE schedule_id = :schedule_id",),
    ),
}
