"""The claim reads an index in order and stops: whatever waits for later, and whatever has finished."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import JobFilter
from jobmaster.sql import Database
from jobmaster.sql.finding import count_jobs
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
    "mysql": """
INSERT INTO {table:{target}} (id, definition_id, lane, priority, run_at, enqueued_at, data{more})
SELECT UNHEX(MD5(CONCAT(RAND(), n))), 'plan', 'default', 1 + n % 5, micros + {offset} * 1000000 + n, micros,
       '{}'{values}
FROM (SELECT a.n + b.n * 1000 AS n, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS micros
      FROM {thousand} a CROSS JOIN {thousand} b) AS numbers
WHERE n < {count}""",
}
LATER = timedelta(hours=1)
_THOUSAND = (
    "(SELECT x.d + 10 * y.d + 100 * z.d AS n FROM {ten} x CROSS JOIN {ten} y CROSS JOIN {ten} z)".replace(
        "{ten}", "(SELECT 0 AS d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
    )
)


def fill(database: Database, target: str, count: int, offset: int) -> None:
    """Rows made by the engine itself: due ``offset`` seconds from now; finished ones for the history."""
    engine = database.dialect.name
    finished = target == "history"
    now = {"postgresql": "now()", "sqlite": "unixepoch_micros", "mysql": "micros"}[engine]
    sql = (
        _ROWS[engine]
        .replace("{table:{target}}", database.gateway.names.table(target))
        .replace("{count}", str(count))
        .replace("{thousand}", _THOUSAND)
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


@pytest.mark.postgres
def test_postgres_counts_without_comparing_each_job_with_each_that_is_left_out(
    postgres_url: str, make_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans are made for any number of them: a list to be left out would be gone through for every row."""
    database = make_database(postgres_url)
    database.open()
    fill(database, "history", 500, -3600)
    table = database.gateway.names.table("history")
    rows = database.gateway.read("ids", lambda tx: tx.query(f"SELECT id FROM {table} LIMIT 200"))
    met, strange = [row[0] for row in rows], [uuid7() for _ in range(200)]
    assert count_jobs(database, JobFilter(), (), [*met, *strange]) == 300
    plans: list[Any] = []
    read = database.gateway.read

    def explained(name: str, work: Any, **options: Any) -> None:
        def explain(tx: Tx) -> None:
            explaining = Explained(tx, "EXPLAIN (FORMAT JSON) ")
            with pytest.raises(IndexError):
                work(explaining)
            plans.extend(explaining.cursor.plans)

        read(name, explain, **options)

    monkeypatch.setattr(database.gateway, "read", explained)
    count_jobs(database, JobFilter(), (), [*met, *strange])
    (((((document,),),),),) = [plans]
    assert [node for node in nodes(document["Plan"]) if "= ANY" in node.get("Index Cond", "")]
    assert not [node for node in nodes(document["Plan"]) if "ALL" in node.get("Filter", "")]


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
    for name in ("ready", "ready_after", "claim", "claim_after"):
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
        assert not [step for step in steps if step.startswith("SCAN jm_") or "TEMP B-TREE" in step], steps
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


@pytest.mark.mariadb
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_mysql_claims_by_an_ordered_index_range(mariadb_url: str, make_database: Any, size: int) -> None:
    from tests.sql.conftest import stores_of

    database = make_database(mariadb_url)
    database.open()
    holder = stores_of(database).holder()
    fill(database, "job", BATCH * 50, -3600)
    read = [_rows_read(database, holder)]
    for after in ({}, {p: (datetime(2020, 1, 1, tzinfo=UTC), UUID(int=7)) for p in (1, 2, 3, 4, 5)}):
        plan = _explained(database, holder, after)
        assert len(plan) == 5
        for row in plan:
            assert (row["table"], row["key"]) == ("jm_job", "jm_job_ready"), row
            assert row["type"] in ("range", "ref"), row
            assert "filesort" not in row["Extra"], row
            assert "temporary" not in row["Extra"], row
    # Later: what is held, and what has finished.
    fill(database, "job", size, 86_400)
    fill(database, "history", size, -3600)
    read.append(_rows_read(database, holder))
    assert read[1] <= read[0] * 1.1, read


def _explained(database: Database, holder: Holder, after: Any) -> list[dict[str, Any]]:
    """The plan of the look for jobs, a row for each priority."""

    def work(tx: Tx) -> list[dict[str, Any]]:
        explained = Explained(tx, "EXPLAIN ")
        database.dialect.claim(explained, holder.request(BATCH, after=after))
        names = [column[0] for column in tx.cursor.description]
        (plan,) = explained.cursor.plans
        return [dict(zip(names, row, strict=True)) for row in plan if row[2] is not None and row[2] != ""]

    plan: list[dict[str, Any]] = database.gateway.transaction("explain", work)
    return [{**row, "Extra": row["Extra"] or ""} for row in plan if not str(row["table"]).startswith("<")]


def _rows_read(database: Database, holder: Holder) -> int:
    """How many rows the server touches for a claim, which is then undone."""

    class Undo(Exception):
        pass

    counts: list[int] = []

    def work(tx: Tx) -> None:
        def so_far() -> int:
            rows = tx.cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'").fetchall()
            return sum(int(count) for _, count in rows)

        before = so_far()
        assert len(database.dialect.claim(tx, holder.request(BATCH))) == BATCH * 5
        counts.append(so_far() - before)
        raise Undo

    with pytest.raises(Undo):
        database.gateway.transaction("claim", work)
    assert counts[0] <= BATCH * 5 * 4
    return counts[0]


@pytest.mark.mariadb
def test_mysql_finds_what_it_settles_by_the_primary_key(mariadb_url: str, make_database: Any) -> None:
    """Also in a table so small that reading all of it looks cheaper: that would wait for others' locks."""
    from tests.sql.conftest import stores_of

    database = make_database(mariadb_url)
    stores = stores_of(database)
    stores.open()
    stores.enqueue(8)
    one, two = stores.holder(), stores.holder()
    mine, theirs = one.claim(4), two.claim(4)
    assert (len(mine), len(theirs)) == (4, 4)

    def work(tx: Tx) -> None:
        owned = database.dialect.succeed(tx, [one.succeeded(job) for job in mine])
        assert len(owned) == 4
        # Another session, while this one holds its rows.
        settled = two.settle(two.succeeded(theirs[0]), two.failed(theirs[1]), two.failed(theirs[2], LATER))
        assert not settled.refused

    database.gateway.transaction("settle", work, timeout=3)
    assert len(stores.transport.claimed_in(list(two.buckets.values()))) == 1


def test_an_idle_poll_writes_nothing(database: Database, stores: Stores) -> None:
    if database.dialect.name == "mssql":
        pytest.skip("SQL Server tells of no figure that its own housekeeping leaves alone")
    holder = stores.holder()
    stores.enqueue(run_at=stores.transport.now().replace(year=2999))
    # a server may still be tidying up after another test: one look that finds it at rest is enough
    end = time.monotonic() + 30
    while not (at_rest := _five_polls_write_nothing(database, holder)) and time.monotonic() < end:
        continue
    assert at_rest


def _five_polls_write_nothing(database: Database, holder: Holder) -> bool:
    before = _writes(database)
    for _ in range(5):
        assert holder.claim() == []
    return bool(_writes(database) == before)


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
