"""Every statement that reads alike on all engines, by name, in one neutral text.

``{table:x}`` is a table, ``{now}`` the store's present instant, ``{span:x}`` a length of time given in
microseconds, ``{micros:x}`` an instant as microseconds since 1970 (on a caller's connection the settings of
that connection decide how an instant reads), ``{in:x}`` membership in a list, ``{bytes:x}`` the length of a
text, ``:x`` a parameter. ``{lock}`` and ``{lock_skip}``, at the end, are row locks where the engine writes
them there; ``{locks:x}`` and ``{skips:x}``, after the table ``x`` and its alias, are the same locks where it
writes them there. In the same way ``{limit:n}`` at the end goes with ``{top:n}`` after SELECT. ``{hash:x}``
is a nullable parameter of 32 bytes. What each engine makes of them stands in the golden files of the test
suite.
"""

from __future__ import annotations

from .bulk import Bulk, columns, prefixed
from .columns import CLAIMABLE, FACTS
from .movestatements import MOVE_BULK, MOVES
from .schedulestatements import SCHEDULE_BULK, SCHEDULES

__all__ = ["BULK", "JOB_COLUMNS", "JOB_FROM", "TEMPLATES"]

_SHARED = (
    "id, definition_id, data, metadata, lane, priority, run_at, enqueued_at, attempt, failures, losses, "
    "started_at, error_type, error_message, error_traceback, schedule_id, unique_key, "
    "occurrence_at"
)
_INSTANTS = ("run_at", "enqueued_at", "started_at", "occurrence_at")
_JOB_SHOWN = ", ".join(f"{{micros:{name}}}" if name in _INSTANTS else name for name in _SHARED.split(", "))
_JOB_SHARED = ", ".join(f"j.{name}" for name in _SHARED.split(", "))
JOB_COLUMNS = {
    "live": (
        # looked up, not joined: MySQL would read and sort every job before it joined the first
        f"{_JOB_SHARED}, j.bucket_id, j.progress_fraction, j.progress_message, "
        "(SELECT b.worker_id FROM {table:bucket} b WHERE b.id = j.bucket_id), "
        "(SELECT h.name FROM {table:agent} h WHERE h.store_id = j.bucket_id), "
        "j.unsynced, j.agent"
    ),
    "history": f"{_SHARED}, status, finished_at, result, worker_id, agent",
}
"""The columns of a row from which a ``Job`` is made, in order."""
JOB_FROM = {"live": "{table:job} j", "history": "{table:history} j"}
"""Where they come from."""

TEMPLATES: dict[str, str] = {
    "now": "SELECT {now}",
    # --- identity ---------------------------------------------------------------------------------
    "meta": "SELECT name, value FROM {table:meta}",
    "meta_there": "{has_table:meta}",
    "meta_put": "INSERT INTO {table:meta} (name, value) VALUES (:name, :value)",
    "agent_put": ("INSERT INTO {table:agent} (name, store_id, added_at) VALUES (:name, :store_id, {now})"),
    # --- buckets ----------------------------------------------------------------------------------
    "bucket_open": """
INSERT INTO {table:bucket} (id, worker_id, worker_name, lane, priority, mode, status, lease_until)
VALUES (:id, :worker_id, :worker_name, :lane, :priority, :mode, 'active', {now} + {span:lease})""",
    "bucket_renew": """
UPDATE {table:bucket} SET lease_until = {now} + {span:lease}
WHERE id {in:ids} AND worker_id = :worker_id AND status IN ('active', 'completing')
  AND lease_until > {now}""",
    "bucket_complete": """
UPDATE {table:bucket} SET status = 'completing' WHERE worker_id = :worker_id AND status = 'active'""",
    "bucket_lock": (
        "SELECT id, worker_id FROM {table:bucket}{locks:bucket} WHERE id {in:ids} ORDER BY id {lock}"
    ),
    "bucket_delete": "DELETE FROM {table:bucket} WHERE id {in:ids}",
    "bucket_list": """
SELECT b.id, b.worker_id, b.worker_name, b.lane, b.priority, b.status, b.lease_until,
       (SELECT count(*) FROM {table:job} j WHERE j.bucket_id = b.id)
FROM {table:bucket} b ORDER BY b.worker_id, b.priority DESC, b.id""",
    "rescue_needed": """
SELECT 1 WHERE EXISTS (
  SELECT 1 FROM {table:bucket}
  WHERE lease_until <= {now} OR status IN ('lost', 'draining', 'ready_to_delete'))
OR EXISTS (
  SELECT 1 FROM {table:job} j
  WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table:bucket} b WHERE b.id = j.bucket_id)
    AND NOT EXISTS (SELECT 1 FROM {table:agent} h WHERE h.store_id = j.bucket_id))""",
    "bucket_expired": "SELECT {top:limit}id FROM {table:bucket}{skips:bucket} "
    """WHERE lease_until <= {now} AND status IN ('active', 'completing')
ORDER BY id {limit:limit} {lock_skip}""",
    "bucket_adoptable": "SELECT {top:limit}id, worker_id, mode FROM {table:bucket}{skips:bucket} "
    """WHERE status IN ('lost', 'draining')
ORDER BY id {limit:limit} {lock_skip}""",
    "bucket_ready": "SELECT {top:limit}id FROM {table:bucket}{skips:bucket} "
    """WHERE status = 'ready_to_delete'
ORDER BY id {limit:limit} {lock_skip}""",
    "buckets_there": "SELECT id FROM {table:bucket} WHERE id {in:ids}",
    "bucket_status": "UPDATE {table:bucket} SET status = :status WHERE id {in:ids}",
    # --- claims -----------------------------------------------------------------------------------
    "cancellations": """
SELECT id FROM {table:job} WHERE bucket_id {in:ids} AND cancel_requested_at IS NOT NULL""",
    "claims_lock": """
SELECT {top:limit}"""
    """id, bucket_id, claim_no, attempt, failures, losses, started_at, cancel_requested_at, cancel_reason,
       lane, unknown_since
FROM {table:job}{skips:job} WHERE bucket_id {in:ids} {limit:limit} {lock_skip}""",
    "claims_lock_all": """
SELECT id, bucket_id, claim_no, attempt, failures, losses, started_at, cancel_requested_at, cancel_reason,
       lane, unknown_since
FROM {table:job}{locks:job} WHERE bucket_id {in:ids} {lock}""",
    "claims_left": "SELECT DISTINCT bucket_id FROM {table:job} WHERE bucket_id {in:ids}",
    "claims_orphaned": """
SELECT {top:limit}j.id, j.bucket_id, j.claim_no, j.attempt, j.failures, j.losses, j.started_at, """
    """j.cancel_requested_at,
       j.cancel_reason, j.lane, j.unknown_since
FROM {table:job} j{skips:job}
WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table:bucket} b WHERE b.id = j.bucket_id)
  AND NOT EXISTS (SELECT 1 FROM {table:agent} h WHERE h.store_id = j.bucket_id)
{limit:limit} {lock_skip_job}""",
    "owned_lock": """
SELECT id, bucket_id, claim_no, cancel_requested_at, cancel_reason
FROM {table:job}{locks:job} WHERE id {in:ids} ORDER BY id {lock}""",
    "owned": "SELECT id, bucket_id, claim_no, cancel_requested_at FROM {table:job} WHERE id {in:ids}",
    "next_due": "SELECT {now}, "
    + ", ".join(
        f"(SELECT min(run_at) FROM {{table:job}} WHERE {CLAIMABLE.format(priority)})"
        for priority in (1, 2, 3, 4, 5)
    ),
    # --- single jobs ------------------------------------------------------------------------------
    "job_find": f"""
SELECT {JOB_COLUMNS["live"]}
FROM {JOB_FROM["live"]} WHERE j.id = :id""",
    "history_find": f"SELECT {JOB_COLUMNS['history']} FROM {{table:history}} WHERE id = :id",
    "job_lock": (
        "SELECT bucket_id, lane, attempt, failures, losses FROM {table:job}{locks:job} WHERE id = :id {lock}"
    ),
    "job_ask_cancel": """
UPDATE {table:job}
SET cancel_requested_at = COALESCE(cancel_requested_at, {now}),
    cancel_reason = COALESCE(cancel_reason, :reason)
WHERE id = :id""",
    "job_reschedule": "UPDATE {table:job} SET run_at = :run_at WHERE id = :id",
    "job_replace": """
UPDATE {table:job}
SET data = :data, metadata = :metadata, run_at = COALESCE(:run_at, {now} + {span:delay}),
    definition_id = :definition_id, lane = :lane, priority = :priority, timeout_ms = :timeout_ms,
    max_retries = :max_retries, retry = :retry
WHERE id = :id""",
    "history_has": "SELECT id FROM {table:history} WHERE id {in:ids}",
    "history_lock": (
        "SELECT claim_no, attempt, unique_key, lane FROM {table:history}{locks:history} WHERE id = :id {lock}"
    ),
    "history_revive": f"""
INSERT INTO {{table:job}} (id, {FACTS}, unique_hash)
SELECT id, {
        FACTS.replace("run_at", "{now}", 1)
        .replace("claim_no", "claim_no + 1")
        .replace("failures, losses", "0, 0")
    }, {{hash:unique_hash}}
FROM {{table:history}} WHERE id = :id""",
    "history_drop": "DELETE FROM {table:history} WHERE id {in:ids}",
    "attempt_drop": "DELETE FROM {table:attempt} WHERE job_id {in:ids}",
    "job_times": """
SELECT id, bucket_id, {micros:run_at}, {micros:enqueued_at} FROM {table:job} WHERE id = :id""",
    "job_show": f"""
SELECT {_JOB_SHOWN}, bucket_id, progress_fraction, progress_message,
       (SELECT b.worker_id FROM {{table:bucket}} b WHERE b.id = bucket_id),
       (SELECT h.name FROM {{table:agent}} h WHERE h.store_id = bucket_id), unsynced, agent
FROM {{table:job}} WHERE id = :id""",
    "job_drop_one": "DELETE FROM {table:job} WHERE id = :id",
    "job_drop_fenced": """
DELETE FROM {table:job} WHERE id = :id AND bucket_id = :bucket_id AND claim_no = :claim_no""",
    "job_drop": "DELETE FROM {table:job} WHERE id {in:ids}",
    "key_holder": """
SELECT id, bucket_id, {micros:run_at}, {micros:enqueued_at}
FROM {table:job} WHERE unique_hash = :unique_hash""",
    "key_holder_lock": """
SELECT id, bucket_id, {micros:run_at}, {micros:enqueued_at}
FROM {table:job}{locks:job} WHERE unique_hash = :unique_hash {lock}""",
    "attempts": """
SELECT number, started_at, finished_at, outcome, error_type, error_message, error_traceback, worker_id, log,
       claim_no
FROM {table:attempt} WHERE job_id = :id ORDER BY claim_no""",
    "history_run": """
SELECT status, attempt, started_at, finished_at, worker_id, claim_no FROM {table:history} WHERE id = :id""",
    "history_expired": """
SELECT {top:limit}id FROM {table:history}{skips:history} WHERE finished_at <= {now} - {span:age}
ORDER BY finished_at {limit:limit} {lock_skip}""",
    "depths": """
SELECT h.name, j.lane, j.priority,
       CASE WHEN j.bucket_id IS NULL AND j.failures > 0 THEN 'retrying'
            WHEN j.bucket_id IS NULL THEN 'waiting'
            WHEN h.name IS NOT NULL THEN 'placed' WHEN j.started_at IS NULL THEN 'assigned_to_bucket'
            ELSE 'processing' END AS status,
       j.unsynced, count(*), min(j.run_at)
FROM {table:job} j LEFT JOIN {table:agent} h ON h.store_id = j.bucket_id
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3 DESC, 4""",
    **MOVES,
    **SCHEDULES,
    # --- registry ---------------------------------------------------------------------------------
    "worker_put": """
INSERT INTO {table:worker}
  (id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, alive_until, slots,
   unknown_definitions, backlog)
VALUES (:id, :name, :agent_connection, :lane, :mode, :host, :pid, :started_at, {now},
        {now} + {span:alive_for}, :slots, :unknown_definitions, :backlog)""",
    "worker_see": """
UPDATE {table:worker}
SET seen_at = {now}, alive_until = {now} + {span:alive_for}, unknown_definitions = :unknown_definitions,
    backlog = :backlog
WHERE id = :id""",
    "worker_forget": "DELETE FROM {table:worker} WHERE id = :id",
    "worker_gone": "SELECT count(*) FROM {table:worker} WHERE alive_until < {now} - {span:age}",
    "worker_prune": "DELETE FROM {table:worker} WHERE alive_until < {now} - {span:age}",
    "worker_list": """
SELECT id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, slots, unknown_definitions,
       alive_until > {now}, backlog
FROM {table:worker} ORDER BY started_at, id""",
    "settings": "SELECT name, value, pinned, version FROM {table:cluster} ORDER BY name",
    "setting_add": "INSERT INTO {table:cluster} (name, value, pinned) VALUES (:name, :value, :pinned)",
    "setting_set": """
UPDATE {table:cluster} SET value = :value, pinned = :pinned, version = version + 1 WHERE name = :name""",
}


_END = "id uuid, status smallint, attempt int, failures int, losses int, started_at timestamptz, " + (
    "finished_at timestamptz, result text, error_type text, error_message text, error_traceback text, "
    "worker_id uuid"
)
_ENDED = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at"
)
_END_VALUES = (
    "attempt, failures, losses, started_at, status, finished_at, result, error_type, error_message, "
    "error_traceback, worker_id"
)
_ATTEMPT = (
    "job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message, error_traceback, "
    "worker_id, log"
)
_FREED = "bucket_id = NULL, started_at = NULL, progress_fraction = NULL, progress_message = NULL"


BULK: dict[str, Bulk] = {
    **MOVE_BULK,
    **SCHEDULE_BULK,
    "end": Bulk(
        # Moves locked rows to the history, by id.
        columns(_END),
        f"""
WITH gone AS (
  DELETE FROM {{table:job}} j USING a WHERE j.id = a.id
  RETURNING {prefixed("j.", _ENDED)}, {prefixed("a.", _END_VALUES)})
INSERT INTO {{table:history}} ({_ENDED}, {_END_VALUES}) SELECT * FROM gone""",
        (
            f"""
INSERT INTO {{table:history}} ({_ENDED}, {_END_VALUES})
SELECT {_ENDED}, {prefixed(":", _END_VALUES)} FROM {{table:job}} WHERE id = :id""",
            "DELETE FROM {table:job} WHERE id = :id",
        ),
    ),
    "release": Bulk(
        # Gives locked claims up, by id; an error that is not given leaves the last one in place.
        columns(
            "id uuid, attempt int, failures int, losses int, run_at timestamptz, unknown_since timestamptz, "
            "error_type text, error_message text, error_traceback text"
        ),
        f"""
UPDATE {{table:job}} j
SET {_FREED}, attempt = a.attempt, failures = a.failures, losses = a.losses,
    run_at = COALESCE(a.run_at, j.run_at), unknown_since = a.unknown_since,
    error_type = COALESCE(a.error_type, j.error_type),
    error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END
FROM a WHERE j.id = a.id""",
        (
            f"""
UPDATE {{table:job}}
SET {_FREED}, attempt = :attempt, failures = :failures, losses = :losses,
    run_at = COALESCE(:run_at, run_at), unknown_since = :unknown_since,
    error_type = COALESCE(:error_type, error_type),
    error_message = CASE WHEN :error_type IS NULL THEN error_message ELSE :error_message END,
    error_traceback = CASE WHEN :error_type IS NULL THEN error_traceback ELSE :error_traceback END
WHERE id = :id""",
        ),
    ),
    "attempt": Bulk(
        columns(
            "job_id uuid, claim_no int, number int, started_at timestamptz, finished_at timestamptz, "
            "outcome text, error_type text, error_message text, error_traceback text, worker_id uuid, "
            "log text"
        ),
        f"""
INSERT INTO {{table:attempt}} ({_ATTEMPT}) SELECT {prefixed("a.", _ATTEMPT)} FROM a
ON CONFLICT (job_id, claim_no) DO NOTHING""",
        (
            f"""
INSERT INTO {{table:attempt}} ({_ATTEMPT}) VALUES ({prefixed(":", _ATTEMPT)})
ON CONFLICT (job_id, claim_no) DO NOTHING""",
        ),
    ),
    "mark": Bulk(
        columns(
            "id uuid, bucket_id uuid, claim_no int, started_at timestamptz, progress_fraction float8, "
            "progress_message text"
        ),
        """
UPDATE {table:job} j
SET started_at = COALESCE(j.started_at, a.started_at),
    progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    progress_message = COALESCE(a.progress_message, j.progress_message)
FROM a
WHERE j.id = a.id AND j.bucket_id IS NOT DISTINCT FROM a.bucket_id AND j.claim_no = a.claim_no""",
        (
            """
UPDATE {table:job}
SET started_at = COALESCE(started_at, :started_at),
    progress_fraction = COALESCE(:progress_fraction, progress_fraction),
    progress_message = COALESCE(:progress_message, progress_message)
WHERE id = :id AND bucket_id = :bucket_id AND claim_no = :claim_no""",
        ),
    ),
}
