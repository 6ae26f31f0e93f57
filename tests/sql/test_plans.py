"""The claim reads an index in order and stops: whatever waits for later, and whatever has finished."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobmaster.sql import Database
from jobmaster.sql.gateway import Tx
from jobmaster.testing.conformance import Holder, Stores

SIZES = [pytest.param(20_000, id="20k"), pytest.param(1_000_000, id="1M", marks=pytest.mark.long)]
BATCH = 100
_READY = "USING INDEX jm_job_ready (lane=? AND priority=? AND "

_ROWS = {
    "postgresql": """
INSERT INTO {table:{target}} (id, definition_id, lane, priority, run_at, enqueued_at, data{more})
SELECT gen_random_uuid(), 'plan', 'default', 1 + n % 5, now() + {offset} * interval '1 second'
       + n * interval '1 microsecond', now(), '{}'{values}
FROM generate_series(1, {count}) AS n""",
    "sqlite": """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
INSERT INTO {table:{target}} (id, definition_id, lane, priority, run_at, enqueued_at, data{more})
SELECT randomblob(16), 'plan', 'default', 1 + n % 5,
       (unixepoch_micros + {offset} * 1000000) + n, unixepoch_micros, '{}'{values}
FROM numbers, (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000 AS unixepoch_micros)""",
}


def fill(database: Database, target: str, count: int, offset: int) -> None:
    """Rows made by the engine itself: due ``offset`` seconds from now; finished ones for the history."""
    engine = database.dialect.name
    finished = target == "history"
    now = "now()" if engine == "postgresql" else "unixepoch_micros"
    sql = (
        _ROWS[engine]
        .replace("{table:{target}}", database.gateway.names.table(target))
        .replace("{count}", str(count))
        .replace("{offset}", str(offset))
        .replace("{more}", ", status, finished_at" if finished else "")
        .replace("{values}", f", 1, {now}" if finished else "")
    )
    database.gateway.transaction("fill", lambda tx: tx.cursor.execute(sql), timeout=300)


class Explainer:
    """A cursor that explains what it is given, and shows no rows to whoever asks."""

    def __init__(self, cursor: Any, prefix: str) -> None:
        self._cursor = cursor
        self._prefix = prefix
        self.plans: list[Any] = []

    def execute(self, sql: str, values: Any, **_options: Any) -> None:
        self._cursor.execute(self._prefix + sql, values)
        self.plans.append(self._cursor.fetchall())

    rowcount = 0

    def fetchall(self) -> list[Any]:
        return []


class Explained(Tx):
    """A transaction whose cursor explains."""

    def __init__(self, tx: Tx, prefix: str) -> None:
        super().__init__(tx._gateway, tx.connection, Explainer(tx.cursor, prefix))


def postgres_plan(database: Database, holder: Holder) -> dict[str, Any]:
    """The plan of a claim that was really run, then undone."""

    class Undo(Exception):
        pass

    plans: list[Any] = []

    def work(tx: Tx) -> None:
        explained = Explained(tx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ")
        database.dialect.claim(explained, holder.request(BATCH))
        plans.extend(explained.cursor.plans)
        raise Undo

    with pytest.raises(Undo):
        database.gateway.transaction("explain", work, timeout=120)
    text = plans[0][0][0]
    document = json.loads(text) if isinstance(text, str) else text
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan and everything below it."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def pages(node: dict[str, Any]) -> int:
    """Pages that a node and those below it touched."""
    return int(node["Shared Hit Blocks"]) + int(node["Shared Read Blocks"])


@pytest.mark.postgres
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_postgres_claims_by_an_ordered_index_scan(postgres_url: str, make_database: Any, size: int) -> None:
    from tests.sql.conftest import stores_of

    database = make_database(postgres_url)
    database.open()
    holder = stores_of(database).holder()
    fill(database, "job", BATCH * 50, -3600)
    touched = []
    for _ in range(2):
        plan = postgres_plan(database, holder)
        picked = next(node for node in nodes(plan) if node.get("Subplan Name") == "CTE picked")
        kinds = {node["Node Type"] for node in nodes(picked)}
        assert kinds <= {"Nested Loop", "Function Scan", "Subquery Scan", "Limit", "LockRows", "Index Scan"}
        assert {n["Index Name"] for n in nodes(picked) if n["Node Type"] == "Index Scan"} == {"jm_job_ready"}
        assert not [n for n in nodes(plan) if n["Node Type"] == "Seq Scan"]
        assert picked["Actual Rows"] == BATCH * 5
        touched.append(pages(picked))
        # Later: what is held, and what has finished.
        fill(database, "job", size, 86_400)
        fill(database, "history", size, -3600)
    # An index of a million rows is a level or two deeper; five descents, and nothing more.
    assert touched[1] <= touched[0] + 30, touched
    assert touched[0] <= BATCH * 5 * 3


@pytest.mark.postgres
def test_postgres_plans_made_on_empty_tables_are_good_for_full_ones(
    postgres_url: str, make_database: Any
) -> None:
    """Such plans are kept: whatever ties with the right index now would read every row later."""
    from tests.sql.conftest import stores_of

    database = make_database(postgres_url)
    stores = stores_of(database)
    stores.open()
    holder = stores.holder()
    stores.enqueue()
    (claimed,) = holder.claim()
    holder.settle(holder.succeeded(claimed))
    database.gateway.read("analyze", lambda tx: tx.cursor.execute("VACUUM ANALYZE jm_job"))

    def work(tx: Tx) -> list[dict[str, Any]]:
        explained = Explained(tx, "EXPLAIN (FORMAT JSON) ")
        database.dialect.claim(explained, holder.request(BATCH))
        database.dialect.succeed(explained, [holder.succeeded(claimed)] * 2)
        return [plan[0][0][0]["Plan"] for plan in explained.cursor.plans]

    claim, succeed = database.gateway.transaction("explain", work)
    assert _ways_to(claim, "jm_job") == {("Index Scan", "jm_job_ready"), ("Tid Scan", None)}
    assert _ways_to(claim, "jm_bucket") == {("Index Scan", "jm_bucket_pkey")}
    assert _ways_to(succeed, "jm_job") == {("Index Scan", "jm_job_pkey")}
    assert not [node for node in nodes(claim) if node["Node Type"] == "Materialize"]


def _ways_to(plan: dict[str, Any], table: str) -> set[tuple[str, str | None]]:
    return {
        (node["Node Type"], node.get("Index Name"))
        for node in nodes(plan)
        if node.get("Relation Name") == table and "Scan" in node["Node Type"]
    }


@pytest.mark.sqlite
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_sqlite_claims_by_an_ordered_index_search(sqlite_url: str, make_database: Any, size: int) -> None:
    from tests.sql.conftest import stores_of

    database = make_database(sqlite_url)
    database.open()
    stores = stores_of(database)
    holder = stores.holder()
    fill(database, "job", BATCH * 50, -3600)
    for name in ("claim", "claim_after"):
        text = database.gateway.texts[name].sql
        values = [b""] * text.count("?")
        plan = database.gateway.read(
            "explain",
            lambda tx, text=text, values=values: tx.cursor.execute(
                f"EXPLAIN QUERY PLAN {text}", values
            ).fetchall(),
        )
        steps = [row[3] for row in plan]
        assert any(_READY in step for step in steps), steps
        assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step], steps
    effort = [_effort(database, stores, holder)]
    fill(database, "job", size, 86_400)
    fill(database, "history", size, -3600)
    effort.append(_effort(database, stores, holder))
    assert effort[1] <= effort[0] * 1.1 + 100, effort


def _effort(database: Database, stores: Stores, holder: Holder) -> int:
    """How many hundreds of steps of SQLite's machine one claim takes."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    def work(tx: Tx) -> int:
        tx.connection.set_progress_handler(step, 100)
        try:
            return len(database.dialect.claim(tx, holder.request(BATCH)))
        finally:
            tx.connection.set_progress_handler(None, 0)

    assert database.gateway.transaction("claim", work) == BATCH * 5
    return count


def test_an_idle_poll_writes_nothing(database: Database, stores: Stores) -> None:
    holder = stores.holder()
    stores.enqueue(run_at=stores.transport.now().replace(year=2999))
    before = _writes(database)
    for _ in range(5):
        assert holder.claim() == []
    assert _writes(database) == before


def _writes(database: Database) -> Any:
    if database.dialect.name == "sqlite":
        # Changes with every commit that wrote, whoever made it.
        look = "PRAGMA data_version"
    elif database.dialect.name == "mysql":
        # Every change of a row or of a page leaves something in the log.
        look = "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'"
    else:
        look = "SELECT pg_current_xact_id_if_assigned(), pg_snapshot_xmax(pg_current_snapshot())"
    return database.gateway.read("look", lambda tx: tx.cursor.execute(look).fetchall())
