"""Very many rows, made by the engine itself: nothing but a bulk statement crosses the connection."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Engine

from ...domain.job import DEFAULT_LANE
from ...domain.status import Priority
from ...sql.dialect import Names
from .jobs import NOTHING, STAMP, payload

__all__ = ["AGE_DAYS", "CUSTOMERS", "KINDS", "make_rows", "settle_down"]

AGE_DAYS = 28
"""Finished rows ended evenly over so many days, up to now: fewer than coordinators keep by default."""
CUSTOMERS = 1000
"""How many values the metadata of the rows have."""
_DAY = 86_400
_CHUNK = {"mysql": 10_000}
"""Rows per statement, elsewhere ``_LARGE``: none may take longer than the driver waits for an answer."""
_LARGE = 100_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of one sort: their table, and what they span, in seconds from now."""

    table: str
    due: tuple[int, int]
    made: tuple[int, int]


KINDS = {
    "finished": Kind("history", (-AGE_DAYS * _DAY, 0), (-AGE_DAYS * _DAY, 0)),
    "held": Kind("job", (_DAY, 30 * _DAY), (-3600, 0)),
    "ready": Kind("job", (-3600, -1), (-3600, -1)),
}

_NUMBERS = {
    "postgresql": "generate_series({first}::bigint, {last}::bigint) AS g(n)",
    "sqlite": (
        "(WITH RECURSIVE g(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM g WHERE n < {last}) "
        "SELECT n FROM g) AS g"
    ),
    "mysql": (
        "(SELECT {first} + a.n + 1000 * b.n AS n FROM {thousand} AS a CROSS JOIN {thousand} AS b "
        "WHERE 1000 * b.n <= {last} - {first} AND a.n + 1000 * b.n <= {last} - {first}) AS g"
    ),
}
_DIGITS = "(SELECT 0 AS d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
_THOUSAND = (
    f"(SELECT x.d + 10 * y.d + 100 * z.d AS n FROM {_DIGITS} AS x CROSS JOIN {_DIGITS} AS y "
    f"CROSS JOIN {_DIGITS} AS z)"
)
_DUE, _MADE = "({due} + n * {due_step})", "({made} + n * {made_step})"
"""Microseconds since 1970."""
_ID = {
    "postgresql": (
        f"(lpad(to_hex({_MADE} / 1000), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || "
        "substr(md5(n::text), 4, 15))::uuid"
    ),
    "sqlite": f"bench_id({_MADE} / 1000)",
    "mysql": (
        f"UNHEX(CONCAT(LPAD(HEX({_MADE} DIV 1000), 12, '0'), '7', SUBSTR(MD5(n), 1, 3), '8', "
        "SUBSTR(MD5(n), 4, 15)))"
    ),
}
_INSTANT = {"postgresql": "'epoch'::timestamptz + {micros} * interval '1 microsecond'"}
_SHARED = "id, definition_id, lane, priority, run_at, enqueued_at, data, metadata"
_SHARED_VALUES = (
    "{id}, CASE WHEN n % 100 = 1 THEN '{stamp}' ELSE '{nothing}' END, '{lane}', {priority}, {due_at}, "
    "{made_at}, {data}, {metadata}"
)
_FINISHED = "claim_no, attempt, started_at, status, finished_at"
_FINISHED_VALUES = "1, 1, {due_at}, CASE WHEN n % 100 = 0 THEN 2 ELSE 1 END, {due_at}"


def make_rows(engine: Engine, names: Names, kind: str, count: int, say: Callable[[str], None]) -> None:
    """Add ``count`` rows of a kind. One in a hundred is of the second definition, one finished in a hundred
    has failed, one in a thousand is for a given customer."""
    sort = KINDS[kind]
    statement = _statement(engine.dialect.name, names, sort, count)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            raw: Any = connection.connection.driver_connection
            raw.create_function("bench_id", 1, _id)
        chunk = _CHUNK.get(engine.dialect.name, _LARGE)
        for first in range(1, count + 1, chunk):
            last = min(first + chunk - 1, count)
            say(f"making {count:,} {kind} rows: {first - 1:,} so far")
            text = statement.replace("{first}", str(first)).replace("{last}", str(last))
            connection.exec_driver_sql(text.replace("%", "%%") if _percent(engine) else text)


def settle_down(engine: Engine, names: Names) -> None:
    """Let the engine do at once what it would do by itself within minutes of a big insert."""
    with engine.connect() as connection:
        for name in ("job", "history"):
            for statement in _UPKEEP[engine.dialect.name]:
                connection.exec_driver_sql(statement.format(names.table(name))).close()


_UPKEEP = {
    "postgresql": ("VACUUM (ANALYZE) {}", "CHECKPOINT"),
    "sqlite": ("PRAGMA wal_checkpoint(TRUNCATE)",),
    "mysql": ("ANALYZE TABLE {}",),
}


def _percent(engine: Engine) -> bool:
    """Whether the driver takes a percent sign for a parameter's."""
    return engine.dialect.paramstyle in ("format", "pyformat")


def _id(milliseconds: int) -> bytes:
    tail = bytearray(os.urandom(10))
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return milliseconds.to_bytes(6, "big") + bytes(tail)


def _statement(engine: str, names: Names, kind: Kind, count: int) -> str:
    now = time.time_ns() // 1000
    columns, values = _SHARED, _SHARED_VALUES
    if kind.table == "history":
        columns, values = f"{columns}, {_FINISHED}", f"{values}, {_FINISHED_VALUES}"
    data = json.dumps(payload(7), separators=(",", ":"))
    given: dict[str, str] = {
        "due_at": _INSTANT.get(engine, "{micros}").replace("{micros}", _DUE),
        "made_at": _INSTANT.get(engine, "{micros}").replace("{micros}", _MADE),
        "id": _ID[engine],
        "metadata": f"'{{\"customer\":\"c-' || (n % {CUSTOMERS}) || '\"}}'",
        "data": f"'{data}'",
        "stamp": STAMP,
        "nothing": NOTHING,
        "lane": DEFAULT_LANE,
        "priority": str(int(Priority.MEDIUM)),
    }
    if engine == "mysql":
        given["metadata"] = f"CONCAT('{{\"customer\":\"c-', n % {CUSTOMERS}, '\"}}')"
    for name, (begin, end) in (("due", kind.due), ("made", kind.made)):
        given[f"{name}_step"] = str(max(1, (end - begin) * 1_000_000 // count))
        given[name] = str(now + begin * 1_000_000)
    numbers = _NUMBERS[engine].replace("{thousand}", _THOUSAND)
    text = f"INSERT INTO {names.table(kind.table)} ({columns}) SELECT {values} FROM {numbers}"
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value)
    return text
