"""The statements of SQL Server that have a shape of their own.

Many rows travel as one JSON text and become a table by OPENJSON: one parameter, whatever their number, bound
alike by every driver (:func:`rows`). Where such a table meets a stored one, ``INNER LOOP JOIN`` fixes both
the order and the way: the given rows first, then one seek for each. A plan made while the tables were empty
would otherwise read, and lock, every row.

A batch of several statements answers with rows for some of them and with counts for others; whoever runs one
reads to the end, because the error of a later statement comes with its answer. Settings that a batch makes
end with it, because it runs with parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from .columns import CLAIMABLE
from .rawjobs import CLAIMED_COLUMNS
from .sqlservermoves import LOCKS, LOOKS, MOVE_OWN, SKIPPING
from .sqlserverschedules import SCHEDULE_FORMS, SCHEDULE_OWN
from .sqlservertables import COLLATION
from .statements import BULK, TEMPLATES

__all__ = [
    "HOT",
    "KEYED_INSERT",
    "NEW_JOB",
    "OWN",
    "SKIPS",
    "SUCCEEDED",
    "bulk_texts",
    "rows",
]

SKIPS = {"": SKIPPING, "bucket": SKIPPING.replace("UPDLOCK", "XLOCK")}
"""By table. A claim holds its bucket share-locked, which goes together with an update lock: only an exclusive
one skips it."""

_KEPT = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses"
)
_NEW = "attempt, started_at, finished_at, result, worker_id"

NEW_JOB = (
    ("id", "uuid"),
    ("definition_id", "text"),
    ("lane", "text"),
    ("priority", "smallint"),
    ("run_at", "timestamptz"),
    ("delay", "bigint"),
    ("data", "text"),
    ("metadata", "text"),
    ("timeout_ms", "bigint"),
    ("max_retries", "int"),
    ("retry", "text"),
    ("schedule_id", "text"),
    ("occurrence_at", "timestamptz"),
    ("recheck", "smallint"),
)
"""The columns of a new job without a key, with their kinds."""

_KEYED_JOB = (*NEW_JOB, ("unique_key", "text"), ("unique_hash", "bytea"))

SUCCEEDED = (
    ("id", "uuid"),
    ("bucket_id", "uuid"),
    ("claim_no", "int"),
    ("attempt", "int"),
    ("started_at", "timestamptz"),
    ("finished_at", "timestamptz"),
    ("result", "text"),
    ("worker_id", "uuid"),
)

_ASKED = (
    ("priority", "smallint"),
    ("bucket_id", "uuid"),
    ("n", "int"),
    ("after_at", "timestamptz"),
    ("after_id", "uuid"),
)

_KINDS = {
    "uuid": ("CHAR(32)", "CONVERT(BINARY(16), {}, 2)"),
    "bytea": ("CHAR(64)", "CONVERT(BINARY(32), {}, 2)"),
    "text": ("NVARCHAR(MAX)", f"{{}} COLLATE {COLLATION}"),
    "smallint": ("SMALLINT", "{}"),
    "int": ("INT", "{}"),
    "bigint": ("BIGINT", "{}"),
    "timestamptz": ("BIGINT", "{}"),
    "float8": ("FLOAT", "{}"),
}
"""Kind of a column → its type in the JSON text, and the value made of it."""


def _list(prefix: str, names: str) -> str:
    return ", ".join(prefix + name for name in names.split(", "))


def rows(columns: Sequence[tuple[str, str]], variable: str = "@rows") -> str:
    """The table of rows in a JSON text, to be given an alias."""
    values = ", ".join(
        f"r.{name}" if _KINDS[kind][1] == "{}" else f"{_KINDS[kind][1].format('r.' + name)} AS {name}"
        for name, kind in columns
    )
    types = ", ".join(f'"{name}" {_KINDS[kind][0]}' for name, kind in columns)
    return f"(\n  SELECT {values}\n  FROM OPENJSON({variable}) WITH ({types}) AS r)"


def _batch(*statements: str) -> str:
    return ";\n".join(part.strip() for part in statements)


# A parameter that is long comes as NTEXT from some drivers, which OPENJSON does not take.
_ROWS = "DECLARE @rows NVARCHAR(MAX) = CAST(:rows AS NVARCHAR(MAX))"
_NOW = "DECLARE @now BIGINT = {now}"
_NEW_NAMES = (
    "id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms, max_retries, retry, "
    "schedule_id, occurrence_at, recheck"
)
_NEW_VALUES = _list("a.", _NEW_NAMES).replace(
    "a.run_at, a.enqueued_at", "COALESCE(a.run_at, @now + a.delay), @now"
)


def _enqueue(where: str = "") -> str:
    return _batch(
        _ROWS,
        _NOW,
        f"INSERT INTO {{table:job}} ({_NEW_NAMES})\nSELECT {_NEW_VALUES}\nFROM {rows(NEW_JOB)} AS a{where}",
        "SELECT @now",
    )


_FENCE = "WHERE j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no"
_SUCCEED = (
    _ROWS,
    f"""
INSERT INTO {{table:history}} ({_KEPT}, {_NEW}, status)
SELECT {_list("j.", _KEPT)}, {_list("a.", _NEW)}, 1
FROM {rows(SUCCEEDED)} AS a INNER LOOP JOIN {{table:job}} AS j WITH ({LOCKS}) ON j.id = a.id
{_FENCE}""",
    f"""
DELETE j OUTPUT deleted.id
FROM {rows(SUCCEEDED[:3])} AS a INNER LOOP JOIN {{table:job}} AS j WITH (ROWLOCK) ON j.id = a.id
{_FENCE}""",
)

# The bucket first, share-locked until the commit, so that a rescuer waits for the claim or is seen by it.
# The jobs are locked as they are found in the index of ready jobs, past those that others hold; the update
# skips as well, because a row may be held that is free in the index, and a claim must wait for nobody.
_CLAIM = (
    "DECLARE @asked NVARCHAR(MAX) = CAST(:asked AS NVARCHAR(MAX))",
    _NOW,
    "DECLARE @held INT",
    f"""
SELECT @held = COUNT(*)
FROM (SELECT DISTINCT b.bucket_id FROM {rows(_ASKED[1:2], "@asked")} AS b) AS a
INNER LOOP JOIN {{table:bucket}} AS b WITH (REPEATABLEREAD, ROWLOCK) ON b.id = a.bucket_id
WHERE b.status = 'active' AND b.lease_until > @now""",
    f"""
UPDATE j SET bucket_id = p.bucket_id, claim_no = j.claim_no + 1
OUTPUT {_list("inserted.", CLAIMED_COLUMNS)}
FROM (
  SELECT c.id, a.bucket_id
  FROM {rows(_ASKED, "@asked")} AS a
  CROSS APPLY (
    SELECT TOP (a.n) r.id
    FROM {{table:job}} AS r WITH ({SKIPPING}, INDEX({{index:job_ready}}))
    WHERE r.lane = :lane AND r.priority = a.priority AND r.bucket_id IS NULL AND r.run_at <= @now
      AND r.run_at >= a.after_at AND (r.run_at > a.after_at OR r.id > a.after_id)
    ORDER BY r.run_at, r.id) AS c) AS p, {{table:job}} AS j WITH ({LOOKS})
WHERE j.id = p.id AND j.bucket_id IS NULL AND @held = :buckets
OPTION (LOOP JOIN, FORCE ORDER)""",
)

HOT: dict[str, str] = {
    "enqueue": _enqueue(),
    "enqueue_known": _enqueue(
        "\nWHERE NOT EXISTS (\n"
        "  SELECT 1 FROM {table:job} AS t WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE t.id = a.id)"
    ),
    "claim": _batch(*_CLAIM),
    "claimed_in": f"SELECT {CLAIMED_COLUMNS} FROM {{table:job}} WHERE bucket_id {{in:ids}}",
    "succeed": _batch(*_SUCCEED),
    "succeed_tell": _batch(*_SUCCEED, "SELECT {now}"),
    "succeed_claim": _batch(*_SUCCEED, *_CLAIM, "SELECT {now}"),
}

KEYED_INSERT = f"""
SET XACT_ABORT OFF;
{_ROWS};
{_NOW};
BEGIN TRY
INSERT INTO {{table:job}} ({_NEW_NAMES}, unique_key, unique_hash)
OUTPUT inserted.id, inserted.run_at, inserted.enqueued_at
SELECT {_NEW_VALUES}, a.unique_key, a.unique_hash
FROM {rows(_KEYED_JOB)} AS a
WHERE NOT EXISTS (SELECT 1 FROM {{table:job}} AS t WITH (READCOMMITTEDLOCK) WHERE t.id = a.id)
END TRY
BEGIN CATCH
IF ERROR_NUMBER() NOT IN (2601, 2627) BEGIN; THROW; END
END CATCH"""
"""An insert that waits for whoever inserts the same key, and inserts nothing when that one commits. The
transaction goes on after the error because XACT_ABORT is off for this batch. Locking the gap instead
(HOLDLOCK) would keep other keys waiting for as long as a caller's transaction is open."""

_ORPHANED = (
    "j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table:bucket} b WHERE b.id = j.bucket_id)\n"
    "    AND NOT EXISTS (SELECT 1 FROM {table:agent} h WHERE h.store_id = j.bucket_id)"
)
_CLAIM_SEEN = (
    "j.id, j.bucket_id, j.claim_no, j.attempt, j.failures, j.losses, j.started_at, j.cancel_requested_at,\n"
    "       j.cancel_reason, j.lane, j.unknown_since"
)
_CLAIMS_OF = (
    "FROM {{listed:ids}} AS a\n"
    "INNER LOOP JOIN {{table:job}} AS j WITH ({hints}, INDEX({{index:job_claimed}})) ON j.bucket_id = a.id\n"
    "WHERE j.bucket_id IS NOT NULL"
)

OWN: dict[str, str] = {
    **MOVE_OWN,
    **SCHEDULE_OWN,
    "rescue_needed": f"""
SELECT 1 WHERE EXISTS (
  SELECT 1 FROM {{table:bucket}} WITH ({LOOKS})
  WHERE lease_until <= {{now}} OR status IN ('lost', 'draining', 'ready_to_delete'))
OR EXISTS (SELECT 1 FROM {{table:job}} j WITH ({LOOKS}) WHERE {_ORPHANED})""",
    "bucket_lock": f"""
SELECT b.id, b.worker_id
FROM {{listed:ids}} AS a INNER LOOP JOIN {{table:bucket}} AS b WITH ({LOCKS}) ON b.id = a.id
ORDER BY b.id""",
    "claims_lock": f"SELECT TOP (:limit) {_CLAIM_SEEN}\n{_CLAIMS_OF.format(hints=SKIPPING)}",
    "claims_lock_all": f"SELECT {_CLAIM_SEEN}\n{_CLAIMS_OF.format(hints=LOCKS)}",
    # Also what is held by somebody: a frozen holder must not stop the rescue of others.
    "claims_left": """
SELECT DISTINCT bucket_id FROM {table:job} WITH (READUNCOMMITTED) WHERE bucket_id {in:ids}""",
    "owned_lock": f"""
SELECT j.id, j.bucket_id, j.claim_no, j.cancel_requested_at, j.cancel_reason
FROM {{listed:ids}} AS a INNER LOOP JOIN {{table:job}} AS j WITH ({LOCKS}) ON j.id = a.id
ORDER BY j.id""",
    "next_due": "SELECT {now}, "
    + ",\n  ".join(
        f"(SELECT min(run_at) FROM {{table:job}} WITH ({LOOKS}) WHERE {CLAIMABLE.format(priority)})"
        for priority in (1, 2, 3, 4, 5)
    ),
    # On a caller's connection, whose texts may be cut off.
    "job_show": f"SET TEXTSIZE 2147483647;{TEMPLATES['job_show']}",
    "job_ask_cancel": """
UPDATE {table:job}
SET cancel_requested_at = COALESCE(cancel_requested_at, {now}),
    cancel_reason = COALESCE(cancel_reason, CAST(:reason AS NVARCHAR(MAX)))
WHERE id = :id""",
    "depths": """
SELECT name, lane, priority, status, unsynced, count(*), min(run_at)
FROM (SELECT h.name, j.lane, j.priority, j.run_at, j.unsynced,
             CASE WHEN j.bucket_id IS NULL AND j.failures > 0 THEN 'retrying'
                  WHEN j.bucket_id IS NULL THEN 'waiting'
                  WHEN h.name IS NOT NULL THEN 'placed'
                  WHEN j.started_at IS NULL THEN 'assigned_to_bucket'
                  ELSE 'processing' END AS status
      FROM {table:job} j LEFT JOIN {table:agent} h ON h.store_id = j.bucket_id) AS d
GROUP BY name, lane, priority, status, unsynced ORDER BY name, lane, priority DESC, status""",
    "worker_list": """
SELECT id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, slots, unknown_definitions,
       CASE WHEN alive_until > {now} THEN 1 ELSE 0 END, backlog
FROM {table:worker} ORDER BY started_at, id""",
}
"""Statements of :data:`.statements.TEMPLATES` that T-SQL says in other words."""

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
_JOIN = "INNER LOOP JOIN {table:job} AS j WITH (ROWLOCK) ON j.id = a.id"


def _insert(table: str, columns: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in columns)
    return f"INSERT INTO {{table:{table}}} ({names})\nSELECT {_list('a.', names)}\nFROM {{rows}} AS a"


_BULK: dict[str, tuple[str, ...]] = {
    **SCHEDULE_FORMS,
    "end": (
        f"""
INSERT INTO {{table:history}} ({_ENDED}, {_END_VALUES})
SELECT {_list("j.", _ENDED)}, {_list("a.", _END_VALUES)}
FROM {{rows}} AS a {_JOIN}""",
        f"DELETE j FROM {{ids}} AS a {_JOIN}",
    ),
    "release": (
        f"""
UPDATE j
SET bucket_id = NULL, started_at = NULL, progress_fraction = NULL, progress_message = NULL,
    attempt = a.attempt, failures = a.failures, losses = a.losses,
    run_at = COALESCE(a.run_at, j.run_at), unknown_since = a.unknown_since,
    error_type = COALESCE(a.error_type, j.error_type),
    error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END
FROM {{rows}} AS a {_JOIN}""",
    ),
    "attempt": (
        f"""
INSERT INTO {{table:attempt}} ({_ATTEMPT})
SELECT {_list("a.", _ATTEMPT)}
FROM {{rows}} AS a
WHERE NOT EXISTS (
  SELECT 1 FROM {{table:attempt}} AS t WHERE t.job_id = a.job_id AND t.claim_no = a.claim_no)""",
    ),
    "job_put": (_insert("job", BULK["job_put"].columns),),
    "history_put": (_insert("history", BULK["history_put"].columns),),
    "mark": (
        f"""
UPDATE j
SET started_at = COALESCE(j.started_at, a.started_at),
    progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    progress_message = COALESCE(a.progress_message, j.progress_message)
FROM {{rows}} AS a {_JOIN}
{_FENCE}""",
    ),
}
"""What each statement of :data:`.statements.BULK` is here; ``{rows}`` is the table of its rows, ``{ids}`` the
same with their first column alone."""


def bulk_texts() -> dict[str, str]:
    """The statements of :data:`.statements.BULK`, for rows in the parameter ``rows``."""
    texts = {}
    for name, bulk in BULK.items():
        given, ids = rows(bulk.columns), rows(bulk.columns[:1])
        parts = [part.replace("{rows}", given).replace("{ids}", ids) for part in _BULK[name]]
        texts[name] = _batch(_ROWS, *parts)
    return texts
