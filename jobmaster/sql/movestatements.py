"""Statements that move jobs between the stores of a cluster, in the neutral text of :mod:`.statements`."""

from __future__ import annotations

from .bulk import Bulk, insert
from .columns import CLAIMABLE, COPY_COLUMNS, ENDED_COLUMNS

__all__ = ["MOVES", "MOVE_BULK"]

MOVES: dict[str, str] = {
    # --- on an agent ------------------------------------------------------------------------------
    "unsynced_lock": f"""
SELECT {{top:limit}}{COPY_COLUMNS} FROM {{table:job}}{{skips:job}}
WHERE unsynced = 1 AND enqueued_at <= {{now}} - {{span:age}} ORDER BY id {{limit:limit}} {{lock_skip}}""",
    "synced": "UPDATE {table:job} SET unsynced = 0 WHERE id {in:ids}",
    "jobs_there": "SELECT id FROM {table:job} WHERE id {in:ids}",
    "copies_lock": """
SELECT id, bucket_id, placement, claim_no FROM {table:job}{locks:job} WHERE id {in:ids} {lock}""",
    "holders": "SELECT id, bucket_id FROM {table:job} WHERE id {in:ids}",
    "ended_there": "SELECT id, placement FROM {table:history} WHERE id {in:ids}",
    "outbox_lock": f"""
SELECT {{top:limit}}{ENDED_COLUMNS} FROM {{table:history}}{{skips:history}} \
ORDER BY finished_at {{limit:limit}} {{lock_skip}}""",
    "outbox_size": """
SELECT count(*), COALESCE(sum({bytes:data} + COALESCE({bytes:result}, 0)), 0) FROM {table:history}""",
    "attempts_lock": """
SELECT {top:limit}job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message,
       error_traceback, worker_id, log
FROM {table:attempt}{skips:attempt} ORDER BY job_id, claim_no {limit:limit} {lock_skip}""",
    "history_shipped": "DELETE FROM {table:history} WHERE placement = :placement AND id {in:ids}",
    "attempts_shipped": "DELETE FROM {table:attempt} WHERE claim_no = :claim_no AND job_id {in:ids}",
    "movers_there": "SELECT id FROM {table:bucket} WHERE id {in:ids} AND mode = 'drain'",
    "job_overtaken": "UPDATE {table:job} SET placement = :placement, recheck = 1 WHERE id = :id",
    "job_pin": "UPDATE {table:job} SET agent = :agent WHERE id {in:ids}",
    "job_pin_one": "UPDATE {table:job} SET agent = :agent WHERE id = :id",
    "taken": """
UPDATE {table:job} SET bucket_id = :bucket_id, claim_no = claim_no + 1, recheck = 1 WHERE id {in:ids}""",
    "taken_drop": "DELETE FROM {table:job} WHERE bucket_id = :bucket_id",
    "backlog": """
SELECT count(*) FROM (
  SELECT {top:most}1 AS due FROM {table:job}
  WHERE lane = :lane AND priority IN (1, 2, 3, 4, 5) AND bucket_id IS NULL AND run_at <= {now}
  {limit:most}) counted""",
    "waiting_lanes": "SELECT DISTINCT lane FROM {table:job} WHERE bucket_id IS NULL",
    # --- on the master ----------------------------------------------------------------------------
    "held_due": f"""
SELECT {{top:limit}}{COPY_COLUMNS} FROM {{table:job}}{{skips:job}}
WHERE {CLAIMABLE.format(":priority")} AND run_at <= {{now}} + {{span:ahead}}
  AND (agent IS NULL OR agent {{in:agents}})
ORDER BY run_at, id {{limit:limit}} {{lock_skip}}""",
    "held_placed": """
UPDATE {table:job} SET bucket_id = :store_id, placement = placement + 1, unsynced = 1, recheck = 0
WHERE id {in:ids}""",
    "placement_repeated": "UPDATE {table:job} SET recheck = 1 WHERE id {in:ids}",
    "repeated_there": "SELECT id FROM {table:job} WHERE recheck = 1 AND id {in:ids}",
    "placed": "UPDATE {table:job} SET unsynced = 0 WHERE bucket_id = :store_id AND id {in:ids}",
    "placement_doubted": "UPDATE {table:job} SET unsynced = 1 WHERE bucket_id = :store_id AND id {in:ids}",
    "unplaced": f"""
SELECT {{top:limit}}{COPY_COLUMNS}, bucket_id FROM {{table:job}}
WHERE unsynced = 1 AND bucket_id IS NOT NULL ORDER BY id {{limit:limit}}""",
    "mirrors": """
SELECT {top:limit}id, lane, priority FROM {table:job}
WHERE bucket_id = :store_id AND unsynced = 0 AND id > :after ORDER BY id {limit:limit}""",
    "mirrors_ended": """
SELECT {top:limit}j.id FROM {table:job} j
WHERE j.bucket_id IS NOT NULL AND EXISTS (SELECT 1 FROM {table:history} h WHERE h.id = j.id)
{limit:limit}""",
    "held_again": """
UPDATE {table:job} SET bucket_id = NULL, placement = placement + 1, unsynced = 0
WHERE bucket_id = :store_id""",
    "held_unpin": "UPDATE {table:job} SET agent = NULL WHERE agent = :agent AND bucket_id IS NULL",
    "agent_list": "SELECT name, store_id, added_at, draining FROM {table:agent} ORDER BY name",
    "agent_drain": "UPDATE {table:agent} SET draining = :draining WHERE name = :name",
    "agent_forget": "DELETE FROM {table:agent} WHERE name = :name",
}

_KINDS = (
    "id uuid, definition_id text, lane text, priority smallint, run_at timestamptz, "
    "enqueued_at timestamptz, claim_no int, attempt int, failures int, losses int, placement int, data text, "
    "content_type text, metadata text, timeout_ms bigint, max_retries int, retry text, unique_key text, "
    "schedule_id text, occurrence_at timestamptz, started_at timestamptz, error_type text, "
    "error_message text, error_traceback text"
)

MOVE_BULK: dict[str, Bulk] = {
    "job_put": insert(
        "job",
        f"{_KINDS}, agent text, unknown_since timestamptz, unique_hash bytea, bucket_id uuid, "
        "recheck smallint, unsynced smallint",
    ),
    "history_put": insert(
        "history",
        f"{_KINDS}, status smallint, finished_at timestamptz, result text, worker_id uuid, agent text",
    ),
}
