"""What SQL Server needs said about the statements that move jobs between the stores of a cluster.

Where rows are named by their ids, ``INNER LOOP JOIN`` fixes the way: the given ids first, then one seek for
each. Where they are looked for, the index is named: a plan made while the table was empty would read, and
lock, every row.
"""

from __future__ import annotations

from .movestatements import MOVES

__all__ = ["LOCKS", "LOOKS", "MOVE_OWN", "SKIPPING"]

LOCKS = "UPDLOCK, ROWLOCK"
SKIPPING = "UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK"
"""READCOMMITTEDLOCK: with READ_COMMITTED_SNAPSHOT on, READPAST is refused without it."""
LOOKS = "READPAST, ROWLOCK, READCOMMITTEDLOCK"
"""For looks of the loops: an open transaction of somebody else must not stop them."""


def _skipping(name: str, table: str, index: str) -> str:
    """A neutral statement that locks what it finds in an index, past what others hold."""
    return _with(name, f"{{skips:{table}}}", f" WITH ({SKIPPING}, INDEX({{index:{index}}}))")


def _looking(name: str, hints: str = LOOKS, table: str = "job") -> str:
    return _with(name, f"{{table:{table}}}", f"{{table:{table}}} WITH ({hints})")


def _with(name: str, place: str, written: str) -> str:
    text = MOVES[name]
    if text.count(place) != 1:
        raise ValueError(f"{name} does not say {place} once")
    return text.replace(place, written)


def _of_ids(table: str, hints: str = "ROWLOCK", key: str = "id") -> str:
    return f"FROM {{listed:ids}} AS a INNER LOOP JOIN {{table:{table}}} AS t WITH ({hints}) ON t.{key} = a.id"


MOVE_OWN: dict[str, str] = {
    # --- on an agent ------------------------------------------------------------------------------
    "unsynced_lock": _skipping("unsynced_lock", "job", "job_unsynced"),
    "synced": f"UPDATE t SET unsynced = 0 {_of_ids('job')}",
    "jobs_there": f"SELECT t.id {_of_ids('job')}",
    "copies_lock": f"SELECT t.id, t.bucket_id, t.placement, t.claim_no {_of_ids('job', LOCKS)}",
    "holders": f"SELECT t.id, t.bucket_id {_of_ids('job')}",
    "ended_there": f"SELECT t.id, t.placement {_of_ids('history')}",
    "outbox_lock": _skipping("outbox_lock", "history", "history_finished"),
    "outbox_size": _looking("outbox_size", table="history"),
    "history_shipped": f"DELETE t {_of_ids('history')} WHERE t.placement = :placement",
    "attempts_shipped": f"DELETE t {_of_ids('attempt', key='job_id')} WHERE t.claim_no = :claim_no",
    "job_pin": f"UPDATE t SET agent = :agent {_of_ids('job')}",
    "taken": f"""
UPDATE t SET bucket_id = :bucket_id, claim_no = t.claim_no + 1, recheck = 1
{_of_ids("job")}""",
    "backlog": _looking("backlog"),
    "waiting_lanes": _looking("waiting_lanes"),
    "job_drop": f"DELETE t {_of_ids('job')}",
    "history_drop": f"DELETE t {_of_ids('history')}",
    "attempt_drop": f"DELETE t {_of_ids('attempt', key='job_id')}",
    # --- on the master ----------------------------------------------------------------------------
    "held_due": _skipping("held_due", "job", "job_ready").replace("{in:agents}", "{in_texts:agents}"),
    "held_placed": f"""
UPDATE t SET bucket_id = :store_id, placement = t.placement + 1, unsynced = 1, recheck = 0
{_of_ids("job")}""",
    "placed": f"UPDATE t SET unsynced = 0 {_of_ids('job')} WHERE t.bucket_id = :store_id",
    "placement_doubted": f"UPDATE t SET unsynced = 1 {_of_ids('job')} WHERE t.bucket_id = :store_id",
    "unplaced": _looking("unplaced", f"{LOOKS}, INDEX({{index:job_unsynced}})"),
    "mirrors": _looking("mirrors", f"{LOOKS}, INDEX({{index:job_claimed}})"),
}
"""Statements of :data:`.movestatements.MOVES`, and of others that name rows by id, in T-SQL."""
