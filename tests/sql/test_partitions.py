"""A history in parts: conversion, the parts to come, and retention that drops whole ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.errors import ConfigurationError, TransientStoreError
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import Database
from jobmaster.sql.gateway import bind
from jobmaster.sql.partitioning import Parts, RangeTaken
from jobmaster.sql.parts import Part, first_id
from jobmaster.testing.conformance import Stores
from tests.databases import execute, execute_script, kind_of
from tests.sql.conftest import MakeDatabase, stores_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RETENTION = timedelta(days=3)
SPAN = timedelta(hours=2)
"""Of the parts that this gives."""
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def whole(url: str, make_database: MakeDatabase) -> Database:
    """Its history is one table."""
    database = make_database(url)
    database.open()
    return database


@pytest.fixture
def parted(whole: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Its history has parts for six days."""
    monkeypatch.setattr("jobmaster.sql.schema.first_end", lambda now: TODAY - 6 * DAY)
    assert whole.schema.partition_history()
    for day in range(-6, 1):
        part = Part(TODAY + day * DAY, TODAY + (day + 1) * DAY)
        whole.gateway.transaction("history_make", lambda tx, part=part: partitioning(whole).make(tx, part))
    return whole


def partitioning(database: Database) -> Any:
    return database.dialect.partitioning


def parts_of(database: Database) -> Parts:
    found: Parts | None = database.gateway.read("look", partitioning(database).look)
    assert found is not None
    return found


def made_at(instant: datetime) -> UUID:
    """An id as a producer made it then."""
    return UUID(int=first_id(instant).int | uuid7().int & (1 << 80) - 1)


def ended(stores: Stores, instants: Collection[datetime], failed: bool = False) -> list[UUID]:
    """Jobs made and ended at these instants."""
    ids = [made_at(instant) for instant in instants]
    for job_id in ids:
        stores.enqueue(1, id=job_id)
    holder = stores.holder()
    change = holder.failed if failed else holder.succeeded
    holder.settle(*[change(job) for job in holder.claim()])
    for job_id, instant in zip(ids, instants, strict=True):
        date(stores, [job_id], instant)
    return ids


def date(stores: Stores, ids: Collection[UUID], instant: datetime) -> None:
    """Let jobs have ended at an instant."""

    def work(tx: Any) -> None:
        text = tx.dialect.render("UPDATE {table:history} SET finished_at = :at WHERE id {in:ids}", tx.names)
        tx.cursor.execute(*bind(tx.dialect, text, {"at": instant, "ids": list(ids)}))

    database_of(stores).gateway.transaction("date", work)


def database_of(stores: Stores) -> Database:
    assert isinstance(stores.master, SqlMasterStore)
    return stores.master._database


def there(stores: Stores, ids: Collection[UUID]) -> list[UUID]:
    return [job_id for job_id in ids if stores.master.get_job(job_id) is not None]


def tend(stores: Stores, retention: timedelta | None = RETENTION) -> None:
    """As often as there is more to do."""
    while stores.master.tend_history(retention).more:
        pass


@contextmanager
def open_reader(url: str, table: str) -> Iterator[None]:
    """A transaction of somebody else that has read a table and does not end."""
    import psycopg

    with psycopg.connect(url) as session:
        session.execute(f"SELECT count(*) FROM {table}")  # type: ignore[call-overload]
        yield


# -- conversion ----------------------------------------------------------------------------------------


def test_a_full_table_becomes_the_first_part(whole: Database) -> None:
    stores = stores_of(whole)
    old = ended(stores, [TODAY - 9 * DAY, TODAY - DAY], failed=True)
    ahead = ended(stores, [TODAY + 9 * DAY])
    (live,) = stores.enqueue(run_at=datetime.now(UTC) + DAY)
    assert not whole.schema.partitioned()
    assert whole.schema.partition_history()
    assert whole.schema.partitioned()
    assert not whole.schema.partition_history()
    assert there(stores, [*old, *ahead, live]) == [*old, *ahead, live]
    assert [len(stores.master.attempts(job_id)) for job_id in old] == [1, 1]
    assert len(parts_of(whole).inside) == 1
    # what is made from now on goes the same way
    (fresh,) = ended(stores, [datetime.now(UTC)])
    assert stores.settlement.revive(fresh)
    assert stores.settlement.clean(timedelta(0)) == 2
    assert there(stores, [*old, *ahead, live, fresh]) == [*ahead, live, fresh]


def test_a_conversion_keeps_columns_and_indexes(whole: Database, url: str, make_database: Any) -> None:
    other = make_database(url, table_prefix="other_")
    other.open()
    whole.schema.partition_history()
    columns = """SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
                 WHERE table_name = '{}history' ORDER BY 1"""
    assert execute(url, columns.format("jm_")) == execute(url, columns.format("other_"))
    if kind_of(url) == "postgresql":
        indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = '{}history' ORDER BY 1"
        found = [row[0].replace(" ONLY ", " ") for row in execute(url, indexes.format("jm_"))]
        assert found == [row[0].replace("other_", "jm_") for row in execute(url, indexes.format("other_"))]


def test_several_may_convert_at_once(whole: Database, url: str, make_database: Any) -> None:
    answers = at_once([make_database(url).schema.partition_history for _ in range(3)])
    assert sorted(answers) == [False, False, True]


def test_the_conversion_can_be_run_by_hand(url: str, make_database: Any) -> None:
    database = make_database(url)
    execute_script(url, database.schema.sql(partitioned=True))
    checked = make_database(url, auto_provision=False)
    checked.open()
    assert checked.schema.partitioned()
    stores = stores_of(checked)
    (job_id,) = ended(stores, [datetime.now(UTC)])
    tend(stores, 10 * RETENTION)
    assert there(stores, [job_id]) == [job_id]
    assert len(parts_of(checked).inside) > 3


@pytest.mark.postgres
def test_it_can_be_undone_as_the_manual_says(postgres_url: str, make_database: Any) -> None:
    database = make_database(postgres_url)
    database.open()
    stores = stores_of(database)
    ids = ended(stores, [TODAY - 9 * DAY, datetime.now(UTC)])
    assert database.schema.partition_history()
    tend(stores, 10 * RETENTION)
    manual = (Path(__file__).parents[2] / "docs/workers.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sql\n(.*?)```", manual, re.S)
    execute_script(postgres_url, script)
    assert not database.schema.partitioned()
    assert there(stores, ids) == ids
    other = make_database(postgres_url, table_prefix="other_")
    other.open()
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = '{}history' ORDER BY 1"
    found = execute(postgres_url, indexes.format("jm_"))
    assert found == [
        (row[0].replace("other_", "jm_"),) for row in execute(postgres_url, indexes.format("other_"))
    ]
    assert database.schema.partition_history()


@pytest.mark.postgres
def test_whoever_might_read_the_history_still_may(postgres_url: str, make_database: Any) -> None:
    database = make_database(postgres_url)
    database.open()
    execute(postgres_url, "GRANT SELECT ON jm_history TO pg_monitor WITH GRANT OPTION")
    execute(postgres_url, "GRANT INSERT ON jm_history TO PUBLIC")
    rights = """SELECT grantee::regrole::text, privilege_type, is_grantable
                FROM pg_class, aclexplode(relacl) WHERE relname = 'jm_history' ORDER BY 1, 2"""
    before = execute(postgres_url, rights)
    assert database.schema.partition_history()
    assert execute(postgres_url, rights) == before
    assert len(before) > 2


@pytest.mark.postgres
def test_a_conversion_gives_way_to_a_long_reader(postgres_url: str, make_database: Any) -> None:
    database = make_database(postgres_url)
    database.open()
    with open_reader(postgres_url, "jm_history"), pytest.raises(TransientStoreError, match="try again"):
        database.schema.partition_history()
    assert not database.schema.partitioned()
    assert database.schema.partition_history()


@pytest.mark.sqlite
def test_sqlite_keeps_one_table(sqlite_url: str, make_database: Any) -> None:
    database = make_database(sqlite_url)
    database.open()
    with pytest.raises(ConfigurationError, match="SQLite keeps the history in one table"):
        database.schema.partition_history()
    assert not database.schema.partitioned()
    assert SqlMasterStore(database).tend_history(RETENTION) == (timedelta(0), False)


def test_an_agent_and_missing_tables_are_refused(url: str, make_database: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"do not have version .* run `jobmaster migrate`"):
        make_database(url).schema.partition_history()
    agent = make_database(url, role="agent", name="north")
    agent.open()
    with pytest.raises(ConfigurationError, match="an agent keeps no history"):
        agent.schema.partition_history()


def test_one_table_is_left_alone(whole: Database) -> None:
    stores = stores_of(whole)
    (job_id,) = ended(stores, [TODAY - 9 * DAY])
    assert stores.master.tend_history(RETENTION) == (timedelta(0), False)
    assert there(stores, [job_id]) == [job_id]


# -- the parts to come ---------------------------------------------------------------------------------


def test_parts_are_made_ahead_once(whole: Database) -> None:
    whole.schema.partition_history()
    stores = stores_of(whole)
    assert stores.master.tend_history(RETENTION) == (SPAN, False)
    assert stores.master.tend_history(10 * RETENTION) == (DAY, False)
    inside = parts_of(whole).inside
    assert inside[-1] >= datetime.now(UTC) + 3 * DAY
    assert {later - earlier for earlier, later in pairwise(inside)} <= {SPAN, DAY, DAY - SPAN, DAY - 2 * SPAN}
    stores.master.tend_history(10 * RETENTION)
    assert parts_of(whole).inside == inside
    stores.master.tend_history(None)
    assert set(inside) < set(parts_of(whole).inside)


def test_a_range_that_the_rest_has_ids_of_stays_there(
    whole: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coordinators were away for days, and jobs ended meanwhile."""
    monkeypatch.setattr("jobmaster.sql.schema.first_end", lambda now: TODAY - 5 * DAY)
    whole.schema.partition_history()
    stores = stores_of(whole)
    ids = ended(stores, [TODAY - 3 * DAY, datetime.now(UTC)])
    tend(stores, 10 * RETENTION)
    assert TODAY + 2 * DAY in parts_of(whole).inside
    assert there(stores, ids) == ids
    if whole.dialect.name == "mysql":  # ranges have no gaps: the next part has these ids
        assert TODAY + DAY in parts_of(whole).inside
        return
    assert TODAY + DAY not in parts_of(whole).inside
    part = Part(TODAY - 4 * DAY, TODAY - 2 * DAY)
    with pytest.raises(RangeTaken):
        whole.gateway.transaction("history_make", lambda tx: partitioning(whole).make(tx, part))
    assert stores.settlement.clean(2 * DAY) == 1
    assert there(stores, ids) == ids[1:]


# -- retention -----------------------------------------------------------------------------------------


def test_only_parts_whose_last_job_ended_long_ago_go(parted: Database) -> None:
    stores = stores_of(parted)
    # Part by part: long over, with one that ended late, young, the present.
    over = ended(stores, [TODAY - 5 * DAY + HOUR * n for n in range(5)], failed=True)
    held = ended(stores, [TODAY - 4 * DAY + HOUR * n for n in range(4)], failed=True)
    date(stores, held[2:3], TODAY - DAY)
    young = ended(stores, [TODAY - 2 * DAY, datetime.now(UTC)], failed=True)
    before = parts_of(parted).inside
    tend(stores)
    gone = [end for end in before if end <= datetime.now(UTC) - RETENTION]
    gone.remove(TODAY - 3 * DAY)
    if parted.dialect.name == "mysql":  # emptied, it has the ids of those before it
        gone.remove(TODAY - 4 * DAY)
    assert sorted(set(before) - set(parts_of(parted).inside)) == gone
    assert parts_of(parted).outside == []
    assert there(stores, [*over, *held, *young]) == [*held, *young]
    assert [len(stores.master.attempts(job_id)) for job_id in over] == [0] * 5
    assert [len(stores.master.attempts(job_id)) for job_id in [*held, *young]] == [1] * 6
    # What the late one keeps alive is deleted row by row.
    leeway = stores.master.tend_history(RETENTION).leeway
    assert stores.settlement.clean(RETENTION + leeway) == 3
    assert there(stores, held) == held[2:3]
    date(stores, held[2:3], TODAY - 4 * DAY)
    tend(stores)
    assert there(stores, [*held, *young]) == young
    assert stores.master.attempts(held[2]) == []


def test_without_a_retention_nothing_goes(parted: Database) -> None:
    stores = stores_of(parted)
    ids = ended(stores, [TODAY - 5 * DAY])
    before = parts_of(parted).inside
    tend(stores, None)
    assert set(before) <= set(parts_of(parted).inside)
    assert there(stores, ids) == ids


def test_attempts_of_jobs_that_live_stay(parted: Database) -> None:
    """One was revived, and one has never ended: their ids lie in the part that goes."""
    stores = stores_of(parted)
    revived, gone = ended(stores, [TODAY - 5 * DAY + HOUR, TODAY - 5 * DAY + 3 * HOUR], failed=True)
    assert stores.settlement.revive(revived)
    waits = made_at(TODAY - 5 * DAY + 2 * HOUR)
    stores.enqueue(1, id=waits, run_at=datetime.now(UTC) + DAY)
    kept = len(stores.master.attempts(revived))
    tend(stores)
    assert there(stores, [revived, waits, gone]) == [revived, waits]
    assert len(stores.master.attempts(revived)) == kept
    assert stores.master.attempts(gone) == []


def test_many_attempts_go_in_chunks(parted: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmaster.sql.partitioning._SWEPT", 2)
    stores = stores_of(parted)
    ids = ended(stores, [TODAY - 5 * DAY + HOUR * n for n in range(5)], failed=True)
    passes = [stores.master.tend_history(RETENTION).more]
    assert parts_of(parted).outside
    while stores.master.tend_history(RETENTION).more:
        passes.append(True)
    assert len(passes) >= 3
    assert parts_of(parted).outside == []
    assert [stores.master.attempts(job_id) for job_id in ids] == [[]] * 5


def test_a_job_whose_part_is_gone_ends_all_the_same(parted: Database) -> None:
    stores = stores_of(parted)
    tend(stores)
    (late,) = ended(stores, [TODAY - 5 * DAY], failed=True)
    date(stores, [late], datetime.now(UTC))
    tend(stores)
    assert there(stores, [late]) == [late]
    assert stores.settlement.revive(late)
    holder = stores.holder()
    (again,) = holder.claim()
    holder.settle(holder.succeeded(again))
    date(stores, [late], TODAY - 4 * DAY)
    assert stores.settlement.clean(RETENTION + SPAN) == 1


def test_a_job_that_ends_between_the_look_and_the_lock_is_kept(
    parted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = stores_of(parted)
    ended(stores, [TODAY - 5 * DAY])
    late = made_at(TODAY - 5 * DAY + HOUR)
    stores.enqueue(1, id=late)
    kind, looked = type(partitioning(parted)), list[bool]()
    real = kind._old

    def old(self: Any, tx: Any, part: Any, age: int) -> bool:
        if not looked:
            holder = stores.holder()
            holder.settle(*[holder.succeeded(job) for job in holder.claim()])
        looked.append(True)
        answer: bool = len(looked) == 1 or real(self, tx, part, age)
        return answer

    monkeypatch.setattr(kind, "_old", old)
    end = TODAY - 4 * DAY
    age = RETENTION // timedelta(microseconds=1)
    parted.gateway.transaction(
        "history_take_out", lambda tx: partitioning(parted).take_out(tx, end, age), timeout=0
    )
    assert len(looked) == 2
    assert end in parts_of(parted).inside
    assert there(stores, [late]) == [late]


def test_several_coordinators_at_once(parted: Database, url: str, make_database: Any) -> None:
    stores = stores_of(parted)
    gone = ended(stores, [TODAY - 7 * DAY + 12 * HOUR * n for n in range(7)], failed=True)
    kept = ended(stores, [TODAY - 2 * DAY], failed=True)
    others = [stores_of(make_database(url)) for _ in range(3)]
    at_once([lambda other=other: tend(other) for other in others])
    tend(stores)
    assert there(stores, [*gone, *kept]) == kept
    assert parts_of(parted).outside == []
    assert sum(len(stores.master.attempts(job_id)) for job_id in gone) == 0


def test_what_a_coordinator_that_died_left_is_finished(
    url: str, whole: Database, make_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dies:
        """At one point, once."""

        def __init__(self, point: str) -> None:
            self.point = point

        def reach(self, name: str) -> None:
            if name == self.point:
                raise KeyboardInterrupt(name)

    monkeypatch.setattr("jobmaster.sql.schema.first_end", lambda now: TODAY - 4 * DAY)
    whole.schema.partition_history()
    stores = stores_of(whole)
    ids = ended(stores, [TODAY - 5 * DAY + HOUR], failed=True)
    points = ["take_out.before_commit", "take_out.after_commit", "sweep.before_commit"]
    if whole.dialect.name == "mysql":  # DDL commits by itself
        points = ["take_out.after_commit"]
    for point in points:
        dying = make_database(url, faults=Dies(f"history_{point}"))
        with pytest.raises(KeyboardInterrupt):
            tend(stores_of(dying))
        dying.close()
        late = point != "take_out.before_commit"
        assert (parts_of(whole).outside != []) is late
        assert there(stores, ids) == ([] if late else ids)
    assert len(stores.master.attempts(ids[0])) == 1
    tend(stores)
    assert stores.master.attempts(ids[0]) == []
    assert parts_of(whole).outside == []


@pytest.mark.postgres
def test_nobody_is_held_up_by_a_long_reader(
    postgres_url: str, make_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a part dropped under it: the next pass does it."""
    database = make_database(postgres_url)
    database.open()
    monkeypatch.setattr("jobmaster.sql.schema.first_end", lambda now: TODAY - 4 * DAY)
    database.schema.partition_history()
    stores = stores_of(database)
    ids = ended(stores, [TODAY - 5 * DAY])
    with open_reader(postgres_url, "jm_history"):
        tend(stores)
        assert there(stores, ids) == ids
        assert ended(stores, [datetime.now(UTC)])
    tend(stores)
    assert there(stores, ids) == []


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    answers: list[Any] = []
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        ready.wait(10)
        try:
            answers.append(call())
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faults = [answer for answer in answers if isinstance(answer, BaseException)]
    assert faults == []
    return answers
