"""The hot statements of MySQL and MariaDB, written by hand, and their forms of the statements for many rows.

One text for both servers: no ``RETURNING``, no alias of new rows, no ``OF`` table at a lock. Where a plan
matters it is said with ``FORCE INDEX``: to the optimiser of a small or freshly filled table reading all rows
looks cheaper than looking up a few hundred ids, and a locking read of all rows waits for those that others
hold.

``{index:x}`` is the name of an index. ``:rows`` takes the rows of a bulk statement, and ``:ids`` a list of
ids.
"""

from __future__ import annotations

from .mysqlmoves import MOVE_FORMS, MOVE_HOT
from .mysqlschedules import SCHEDULE_FORMS, SCHEDULE_HOT
from .statements import BULK, TEMPLATES

__all__ = [
    "BULK_FORMS",
    "CLAIMED_COLUMNS",
    "ENQUEUE_COLUMNS",
    "HOT",
    "KEYED",
    "PRESENT",
    "SUCCESS",
]

PRESENT = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
"""The present in microseconds since 1970: exact, constant within a statement, and the same whatever the time
zone of the session is."""

ENQUEUE_COLUMNS = (
    "id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms, max_retries, retry, "
    "schedule_id, occurrence_at, recheck"
)

CLAIMED_COLUMNS = (
    "id, bucket_id, claim_no, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, "
    "recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, "
    "schedule_id, occurrence_at"
)
"""The fields of ``ClaimedJob`` in its order."""

_KEPT = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses"
)
_NEW = "attempt, started_at, finished_at, result, worker_id"
SUCCESS = ("id", "bucket_id", "claim_no", *_NEW.split(", "))
"""The columns of the rows that ``succeed`` takes."""
_PRIMARY = "FORCE INDEX (PRIMARY)"
_READY = "FORCE INDEX ({index:job_ready})"


def _of(prefix: str, names: str) -> str:
    return ", ".join(f"{prefix}.{name}" for name in names.split(", "))


def _forced(name: str, table: str, hint: str, alias: str = "") -> str:
    """A neutral statement with a hint for one of its tables."""
    place = f"{{table:{table}}}{alias}"
    text = TEMPLATES[name]
    if text.count(place) != 1:
        raise ValueError(f"{name} does not name {place} once")
    return text.replace(place, f"{place} {hint}")


def _delete(table: str, condition: str) -> str:
    # Only a DELETE in its form for several tables takes a hint.
    return f"DELETE t FROM {{table:{table}}} t {_PRIMARY} WHERE {condition}"


_DUE = f"""
SELECT {CLAIMED_COLUMNS} FROM {{table:job}} {_READY}
WHERE bucket_id IS NULL AND lane = :lane AND priority = :priority AND run_at <= {{now}}"""
_IN_ORDER = "ORDER BY run_at, id LIMIT :count FOR UPDATE SKIP LOCKED"

HOT: dict[str, str] = {
    **MOVE_HOT,
    **SCHEDULE_HOT,
    "enqueue": f"INSERT INTO {{table:job}} ({ENQUEUE_COLUMNS}) VALUES :rows",
    "enqueue_known": (
        f"INSERT INTO {{table:job}} ({ENQUEUE_COLUMNS}) VALUES :rows ON DUPLICATE KEY UPDATE id = id"
    ),
    # A branch for each priority; the parts are joined with UNION ALL into one statement.
    "claim_part": f"({_DUE} {_IN_ORDER})".replace("(\n", "(", 1),
    # Two ranges of the index: a comparison of pairs would be none, and one from the instant on would walk the
    # dead entries of that instant, which a bulk has by the thousand.
    "claim_part_after": (
        f"({_DUE}\n  AND (run_at > :after_at OR run_at = :after_at AND id > :after_id) {_IN_ORDER})"
    ).replace("(\n", "(", 1),
    "buckets_held": f"""
SELECT id FROM {{table:bucket}} {_PRIMARY} WHERE id {{in:ids}} AND status = 'active' AND lease_until > {{now}}
LOCK IN SHARE MODE""",
    "claim": f"""
UPDATE {{table:job}} {_PRIMARY}
SET bucket_id = CASE priority :cases END, claim_no = claim_no + 1
WHERE id IN (:ids) AND bucket_id IS NULL""",
    "claimed_in": f"SELECT {CLAIMED_COLUMNS} FROM {{table:job}} {_READY} WHERE bucket_id {{in:ids}}",
    # Locks what it reads: under READ COMMITTED the rows of an INSERT from a SELECT are not locked by
    # themselves.
    "succeed": f"""
INSERT INTO {{table:history}} ({_KEPT}, {_NEW}, status)
SELECT {_of("j", _KEPT)}, {_of("a", _NEW)}, 1
FROM (:rows) a STRAIGHT_JOIN {{table:job}} j {_PRIMARY}
  ON j.id = a.id AND j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no
FOR UPDATE""",
    "gone": _delete("job", "t.id IN (:ids)"),
    # --- neutral statements with a hint, or in words that both servers know -------------------------
    "rescue_needed": TEMPLATES["rescue_needed"].replace("SELECT 1 WHERE", "SELECT 1 FROM DUAL WHERE", 1),
    "bucket_renew": _forced("bucket_renew", "bucket", _PRIMARY),
    "bucket_lock": _forced("bucket_lock", "bucket", _PRIMARY),
    "bucket_status": _forced("bucket_status", "bucket", _PRIMARY),
    "bucket_expired": _forced("bucket_expired", "bucket", _PRIMARY),
    "bucket_adoptable": _forced("bucket_adoptable", "bucket", _PRIMARY),
    "bucket_ready": _forced("bucket_ready", "bucket", _PRIMARY),
    "bucket_delete": _delete("bucket", "t.id {in:ids}"),
    "cancellations": _forced("cancellations", "job", _READY),
    "claims_lock": _forced("claims_lock", "job", _READY),
    "claims_lock_all": _forced("claims_lock_all", "job", _READY),
    "claims_left": _forced("claims_left", "job", _READY),
    "claims_orphaned": _forced("claims_orphaned", "job", _READY, " j"),
    "owned_lock": _forced("owned_lock", "job", _PRIMARY),
    "owned": _forced("owned", "job", _PRIMARY),
    "job_drop": _delete("job", "t.id {in:ids}"),
    "history_has": _forced("history_has", "history", _PRIMARY),
    "history_drop": _delete("history", "t.id {in:ids}"),
    "history_shipped": _delete("history", "t.placement = :placement AND t.id {in:ids}"),
    "attempt_drop": _delete("attempt", "t.job_id {in:ids}"),
    # min() reads every waiting row, the first one in order is enough.
    "next_due": "SELECT {now}, "
    + ", ".join(
        f"(SELECT run_at FROM {{table:job}} {_READY} WHERE bucket_id IS NULL AND lane = :lane"
        f" AND priority = {priority} ORDER BY run_at LIMIT 1)"
        for priority in (1, 2, 3, 4, 5)
    ),
}

_ENDED = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at"
)
_END_VALUES = (
    "attempt, failures, losses, started_at, status, finished_at, result, error_type, error_message, "
    "error_traceback, worker_id"
)
_ATTEMPT = ", ".join(column for column, _ in BULK["attempt"].columns)

BULK_FORMS: dict[str, tuple[str, ...]] = {
    **MOVE_FORMS,
    **SCHEDULE_FORMS,
    "end": (
        f"""
INSERT INTO {{table:history}} ({_ENDED}, {_END_VALUES})
SELECT {_of("j", _ENDED)}, {_of("a", _END_VALUES)}
FROM (:rows) a STRAIGHT_JOIN {{table:job}} j {_PRIMARY} ON j.id = a.id""",
        _delete("job", "t.id IN (:ids)"),
    ),
    "release": (
        f"""
UPDATE (:rows) a STRAIGHT_JOIN {{table:job}} j {_PRIMARY} ON j.id = a.id
SET j.bucket_id = NULL, j.started_at = NULL, j.progress_fraction = NULL, j.progress_message = NULL,
    j.attempt = a.attempt, j.failures = a.failures, j.losses = a.losses,
    j.run_at = COALESCE(a.run_at, j.run_at), j.unknown_since = a.unknown_since,
    j.error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    j.error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END,
    j.error_type = COALESCE(a.error_type, j.error_type)""",
    ),
    "attempt": (
        f"INSERT INTO {{table:attempt}} ({_ATTEMPT}) VALUES :values ON DUPLICATE KEY UPDATE job_id = job_id",
    ),
    "mark": (
        f"""
UPDATE (:rows) a STRAIGHT_JOIN {{table:job}} j {_PRIMARY}
  ON j.id = a.id AND j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no
SET j.started_at = COALESCE(j.started_at, a.started_at),
    j.progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    j.progress_message = COALESCE(a.progress_message, j.progress_message)""",
    ),
}
"""Statements for many rows at once, run one after the other. ``:rows`` stands for the rows as a derived table
with the columns of the :class:`.statements.Bulk`, ``:values`` for the same as a list of ``VALUES``, ``:ids``
for their first column. A bulk statement that has no form here is run by its ``each``, row by row."""

_JSON_COLUMNS = {
    "id": "CHAR(32)",
    "definition_id": "VARCHAR(200)",
    "lane": "VARCHAR(64)",
    "priority": "SMALLINT",
    "run_at": "BIGINT",
    "delay": "BIGINT",
    "data": "LONGTEXT",
    "metadata": "LONGTEXT",
    "timeout_ms": "BIGINT",
    "max_retries": "INT",
    "retry": "LONGTEXT",
    "schedule_id": "VARCHAR(255)",
    "occurrence_at": "BIGINT",
    "recheck": "SMALLINT",
    "unique_key": "VARCHAR(255)",
    "unique_hash": "CHAR(64)",
}
# Converted, because escapes are read into the character set of the text: that of the caller's connection.
_AS_JSON = "JSON_TABLE(CONVERT(:jobs USING utf8mb4), '$[*]' COLUMNS (\n  {}))".format(
    ",\n  ".join(
        f"a_{name} {kind}{'' if 'INT' in kind else ' CHARACTER SET utf8mb4'} PATH '$.{name}'"
        for name, kind in _JSON_COLUMNS.items()
    )
)

KEYED: dict[str, str] = {
    # The jobs as one JSON text, so that any driver a caller uses can carry it. A job is left alone when its
    # id or its key is there; other errors are errors, which INSERT IGNORE would hide.
    "keyed_insert": f"""
INSERT INTO {{table:job}} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
SELECT UNHEX(a_id), a_definition_id, a_lane, a_priority, COALESCE(a_run_at, {{now}} + a_delay), {{now}},
  a_data, a_metadata, a_timeout_ms, a_max_retries, a_retry, a_schedule_id, a_occurrence_at, a_recheck,
  a_unique_key, UNHEX(a_unique_hash)
FROM {_AS_JSON} a
ON DUPLICATE KEY UPDATE claim_no = claim_no""",
    "keyed_inserted": f"""
SELECT j.id, j.run_at, j.enqueued_at
FROM {_AS_JSON} a STRAIGHT_JOIN {{table:job}} j {_PRIMARY} ON j.id = UNHEX(a.a_id)""",
    # A caller's transaction may read as of its beginning: what was met since is seen by locking it.
    "job_show": f"{TEMPLATES['job_show']} LOCK IN SHARE MODE",
}
