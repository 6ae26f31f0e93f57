"""The fault points by name: every write of the data path has one before and one after its commit.

On SQL stores the gateway passes ``NAME.before_commit`` and ``NAME.after_commit`` around each commit, so that
a write has them by having a name. On NATS the connection passes points around each message, acknowledgement
and deletion, and what they belong to has points by its name too.
"""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = [
    "DATA",
    "NATS",
    "STEPS",
    "UPKEEP",
    "WITHIN",
    "commits",
    "named_in_source",
    "passed_in_source",
    "speaking_to_nats",
    "written_on_nats",
]

PACKAGE = Path(__file__).resolve().parents[2] / "jobmaster"

DATA = {
    "enqueue", "enqueue_keyed", "settle",
    "expire", "bucket_gone", "rescue", "rescue_orphans", "mark", "cancel", "reschedule", "revive",
    "open_buckets", "renew", "complete_buckets", "close_buckets", "drop",
    "ship", "shipped", "record", "save", "saved", "mirror", "unmirror", "overtake", "doubt",
    "place", "confirm", "repeat", "give_back", "receive", "take", "take_back", "let_go",
    "plan", "schedule_change",
}  # fmt: skip
"""Transactions that write jobs, claims, outcomes or the cursor of a schedule."""
UPKEEP = {
    "stamp", "register_worker", "see_worker", "forget_worker", "workers",
    "register_agent", "set_draining", "forget_agent", "declare_settings", "pin_setting", "unpin_setting",
    "clean", "schedule_prune", "history_make", "history_take_out", "history_sweep",
}  # fmt: skip
"""Transactions that write the registry, settings and old history: losing one loses no job."""
WITHIN = {"settle.written", "writes.between", "plan.jobs_written", "schedule_change.jobs_written"}
"""Points between two statements of one transaction."""
NATS = {
    "enqueue", "settle", "ship", "save", "receive", "take", "let_go",
    "settled", "rescue", "expire", "bucket_gone", "dismiss", "send_back", "unclaim",
    "open_buckets", "renew", "mark", "complete_buckets", "close_buckets",
    "cancel", "reschedule", "forget_cancels", "clear_stranded",
}  # fmt: skip
"""What is written on a NATS agent. Inside each, every message that is stored, every acknowledgement and every
deletion has points of its own, since its connection passes :data:`STEPS` by itself."""
STEPS = {"publish", "acknowledge", "delete"}


def _calls(folder: Path) -> list[tuple[Path, ast.Call, str]]:
    found = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.append((file, node, node.func.attr))
    return found


def _text(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def named_in_source() -> set[str]:
    """Names of transactions that stand in the source as they are."""
    named = (
        _text(call)
        for file, call, name in _calls(PACKAGE)
        if name in ("transaction", "_again") and "bench" not in file.parts
    )
    return {text for text in named if text}


def passed_in_source() -> set[str]:
    """Points within a transaction that code passes by a literal name."""
    found = {
        text for _, call, name in _calls(PACKAGE) if name in ("reach", "_reach") and (text := _text(call))
    }
    return {text for text in found if text.partition(".")[0] not in STEPS}


def written_on_nats() -> set[str]:
    """What code of the NATS agent calls the writes that it does."""
    calls = _calls(PACKAGE / "agents/nats")
    return {text for _, call, name in calls if name in ("writing", "_writing") and (text := _text(call))}


_SPEAKING = (
    *("publish", "request", "jetstream", "respond", "ack", "nak", "term"),  # of the client library
    *("send", "send_empty", "send_stored"),  # of the connection made from it
)


def speaking_to_nats() -> set[str]:
    """The files in which something is said to a NATS server past the connection that has the points."""
    return {
        file.relative_to(PACKAGE).as_posix()
        for file, call, name in _calls(PACKAGE / "agents/nats")
        if name in _SPEAKING
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value)
        not in ("self._link", "self.link", "session.link", "link", "super()", "self")
    }


def commits() -> set[str]:
    """The files in which something is committed."""
    return {
        file.relative_to(PACKAGE).as_posix()
        for file, _, name in _calls(PACKAGE)
        if name == "commit" and "bench" not in file.parts
    }
