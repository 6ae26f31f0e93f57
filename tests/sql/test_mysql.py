"""What is peculiar to MySQL and MariaDB, and must not show."""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest

from jobmaster.domain.job import JobFilter
from jobmaster.errors import ConfigurationError, TransientStoreError
from jobmaster.sql import Database, mysqlsession, open_database
from jobmaster.sql.dialect import Fault
from jobmaster.sql.mysqlerrors import fault_of, is_driver_error, tidy
from jobmaster.sql.mysqlrows import as_selects, chunks, literal
from jobmaster.testing.conformance import Stores
from jobmaster.testing.conformance.stores import new_job
from tests.servers.mariadb import connect
from tests.sql.conftest import stores_of

err = pymysql.err


@pytest.fixture
def database(mariadb_url: str, make_database: Any) -> Database:
    """An open database on MariaDB."""
    database: Database = make_database(mariadb_url)
    database.open()
    return database


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (err.OperationalError(1213, "Deadlock found"), Fault.TRANSIENT),
        (err.OperationalError(1205, "Lock wait timeout exceeded"), Fault.TRANSIENT),
        (err.OperationalError(1040, "Too many connections"), Fault.TRANSIENT),
        (err.OperationalError(1114, "The table is full"), Fault.TRANSIENT),
        (err.OperationalError(1969, "max_statement_time exceeded"), Fault.TRANSIENT),
        (err.InterfaceError(0, ""), Fault.LOST),
        (err.OperationalError(2006, "gone away"), Fault.LOST),
        (err.OperationalError(2013, "Lost connection"), Fault.LOST),
        (err.OperationalError(2003, "Can't connect"), Fault.LOST),
        (err.OperationalError(1927, "Connection was killed"), Fault.LOST),
        (err.OperationalError(1053, "Server shutdown in progress"), Fault.LOST),
        (err.OperationalError(4031, "inactivity"), Fault.LOST),
        (err.OperationalError(1290, "--read-only"), Fault.LOST),
        (err.InternalError("Packet sequence number wrong"), Fault.LOST),
        (err.Error("Already closed"), Fault.LOST),
        (ssl.SSLError("handshake"), Fault.LOST),
        (err.OperationalError(1180, "error during COMMIT"), Fault.UNKNOWN_OUTCOME),
        (err.IntegrityError(1062, "Duplicate entry"), Fault.UNIQUE),
        (err.DataError(1406, "Data too long"), Fault.CONTENT),
        (err.OperationalError(1153, "packet bigger than max_allowed_packet"), Fault.CONTENT),
        (err.DataError(1366, "Incorrect string value"), Fault.CONTENT),
        (err.ProgrammingError(1146, "Table 'x.jm_meta' doesn't exist"), Fault.MISSING_TABLE),
        (err.OperationalError(1049, "Unknown database 'jobs'"), Fault.MISSING_TABLE),
        (err.OperationalError(1049, "Unknown database 'other'"), Fault.REFUSED),
        (err.OperationalError(1045, "Access denied"), Fault.REFUSED),
        (RuntimeError("'cryptography' package is required for sha256_password"), Fault.REFUSED),
        (err.ProgrammingError(1064, "You have an error in your SQL syntax"), Fault.OTHER),
        (err.ProgrammingError("execute() first"), Fault.OTHER),
    ],
    ids=repr,
)
def test_errors_are_classed(error: BaseException, fault: Fault) -> None:
    assert is_driver_error(error)
    assert fault_of(error, "jobs") is fault
    assert tidy(error)


def test_errors_of_others_are_left_alone() -> None:
    assert not is_driver_error(RuntimeError("boom"))
    assert not is_driver_error(OSError(5, "no"))


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("8.0.15", "runs MySQL 8.0.15; jobmaster needs MySQL 8.0.16"),
        ("5.7.44-log", "MySQL 5.7.44"),
        ("5.5.5-10.5.29-MariaDB-log", "runs MariaDB 10.5.29; jobmaster needs MariaDB 10.6.0"),
        ("8.0.16", None),
        ("9.1.0", None),
        ("5.5.5-10.6.0-MariaDB", None),
        ("11.8.2-MariaDB-ubu2404", None),
    ],
)
def test_servers_that_are_too_old_are_refused(said: str, refused: str | None) -> None:
    class Server:
        @staticmethod
        def get_server_info() -> str:
            return said

    if refused is None:
        mysqlsession.check_version(Server, "here")
    else:
        with pytest.raises(ConfigurationError, match=refused):
            mysqlsession.check_version(Server, "here")


def test_parameters_of_the_url_reach_the_driver() -> None:
    url = "mysql://me:pw@h/db?ssl_ca=/etc/ca.pem&ssl_verify_identity=true&charset=latin1&unix_socket=/run/s"
    database = open_database(url, cluster_id="c", connect_args={"read_timeout": 77, "client_flag": 8})
    found, arguments = mysqlsession.connecting(database.dialect.url.url, {"client_flag": 8}, 10)
    assert (arguments["ssl_ca"], arguments["ssl_verify_identity"]) == ("/etc/ca.pem", "true")
    assert (arguments["charset"], arguments["autocommit"]) == ("utf8mb4", True)
    assert arguments["client_flag"] == 8 | 2, "rows found are counted, whatever flags are asked for"
    assert dict(found.query) == {"unix_socket": "/run/s"}


def test_rows_go_in_portions() -> None:
    rows = [("x" * 400_000, n) for n in range(6)]
    assert [[row[1] for row in part] for part in chunks(rows)] == [[0, 1], [2, 3], [4, 5]]
    assert [len(part) for part in chunks([(n,) for n in range(1001)])] == [500, 500, 1]
    assert [len(part) for part in chunks([("x" * 5_000_000,)])] == [1]
    assert list(chunks([])) == []


def test_values_are_written_as_the_server_reads_them() -> None:
    assert literal(None) == "NULL"
    assert literal(True) == "1"
    assert literal("it's \\ %s \0") == "'it\\'s \\\\ %s \\0'"
    assert literal(b"\x00\xff") == "x'00ff'"
    assert literal(datetime(1970, 1, 1, 0, 0, 1, 5, UTC)) == "1000005"
    assert as_selects(("a", "b"), [(1, None), (2, "x")]) == "SELECT 1 AS a, NULL AS b UNION ALL SELECT 2, 'x'"


@pytest.mark.mariadb
def test_the_session_is_strict_and_takes_no_gap_locks(database: Database) -> None:
    look = "SELECT @@sql_mode, @@time_zone, @@collation_connection, @@innodb_lock_wait_timeout"
    ((mode, zone, collation, wait),) = database.gateway.read(
        "look", lambda tx: tx.cursor.execute(look).fetchall()
    )
    assert "STRICT_ALL_TABLES" in mode
    assert (zone, collation, wait) == ("+00:00", "utf8mb4_bin", 10)
    # The servers do not agree on the name.
    look = "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')"
    found = database.gateway.read("look", lambda tx: tx.cursor.execute(look).fetchall())
    assert {value for _, value in found} == {"READ-COMMITTED"}


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "text", ["𝄞 clef 😀", "a'b\"c\\d%s{}`", "tab\tand\nline", "e\u0301 is not \u00e9", "\0"]
)
def test_text_survives_unchanged(database: Database, text: str) -> None:
    stores = stores_of(database)
    (job_id,) = stores.enqueue(definition_id=text, data='{"a": "😀\\\\ %"}', metadata='{"k": "%s \\\\"}')
    holder = stores.holder()
    (claimed,) = holder.claim()
    assert (claimed.definition_id, claimed.data) == (text, '{"a": "😀\\\\ %"}')
    holder.settle(holder.succeeded(claimed, '"☃ 😀 %s \\\\"'))
    job = stores.job(job_id)
    assert (job.definition_id, job.result, job.metadata) == (text, "☃ 😀 %s \\", {"k": "%s \\"})


@pytest.mark.mariadb
def test_case_accents_and_trailing_spaces_tell_ids_apart(database: Database) -> None:
    stores = stores_of(database)
    names = ["a", "A", "á", "a ", "a  "]
    ids = {name: stores.enqueue(definition_id=name)[0] for name in names}
    for name in names:
        (found,) = stores.master.find_jobs(JobFilter(definition_id=name), 10, None)
        assert found.id == ids[name]
        assert stores.master.count_jobs(JobFilter(definition_id=name)) == 1
    keyed = [new_job(unique_key=name) for name in names]
    answers = stores.settlement.enqueue_keyed(keyed, "return")
    assert all(answer.inserted for answer in answers)


@pytest.mark.mariadb
def test_lists_are_compared_in_order_and_to_their_end(database: Database) -> None:
    stores = stores_of(database)
    (job_id,) = stores.enqueue(metadata='{"k": [1, 2, [3]], "o": {"a": [1], "b": null}, "f": 1.5}')
    master = stores.master

    def found(**asked: Any) -> bool:
        return [job.id for job in master.find_jobs(JobFilter(metadata=asked), 10, None)] == [job_id]

    assert found(k=[1, 2, [3]])
    assert found(o={"b": None, "a": [1]}, f=1.5)
    assert not found(k=[2, 1, [3]])
    assert not found(k=[1, 2])
    assert not found(k=[1, 2, [3], 3])
    assert not found(k=1)
    assert not found(o={"a": [1]})
    assert not found(o={"a": 1, "b": None})
    assert not found(f="1.5")


@pytest.mark.mariadb
def test_what_is_too_long_for_the_server_is_poison_and_not_a_lost_connection(
    database: Database,
) -> None:
    stores = stores_of(database)
    ids = stores.enqueue(3)
    holder = stores.holder()
    claimed = holder.claim()
    huge = '"' + "x" * 17_000_000 + '"'
    changes = [holder.succeeded(job, huge if job.id == ids[1] else None) for job in claimed]
    settled = holder.settle(*changes)
    assert set(settled.poisoned) == {ids[1]}
    assert "max_allowed_packet" in settled.poisoned[ids[1]]
    assert stores.job(ids[2]).status.is_final


@pytest.mark.mariadb
def test_many_large_jobs_are_one_transaction(database: Database) -> None:
    stores = stores_of(database)
    data = '{"x": "' + "x" * 120_000 + '"}'
    ids = stores.enqueue(200, data=data)  # 24 MB: more than the server takes at once
    claimed = stores.holder().claim(200)
    assert [job.id for job in claimed] == ids
    assert claimed[-1].data == data


@pytest.mark.mariadb
def test_cut_connections_are_replaced(mariadb_server: Any, mariadb_url: str, database: Database) -> None:
    stores = stores_of(database)
    holder = stores.holder()
    for _ in range(3):
        stores.enqueue()
        mariadb_server.end_sessions(mariadb_url)
        assert len(holder.claim()) == 1


@pytest.mark.mariadb
def test_a_busy_pool_says_so(mariadb_url: str, make_database: Any) -> None:
    database = make_database(mariadb_url, pool_size=1, operation_timeout=0.3)
    database.open()

    def work(_tx: Any) -> None:
        with pytest.raises(TransientStoreError, match="all 1 connections stayed busy; raise pool_size"):
            database.gateway.read("inner", lambda tx: tx.now())

    database.gateway.transaction("outer", work)


@pytest.mark.mariadb
def test_a_lock_that_is_not_given_is_a_passing_fault(mariadb_url: str, make_database: Any) -> None:
    stores = stores_of(make_database(mariadb_url, operation_timeout=1))
    stores.open()
    (job_id,) = stores.enqueue()
    with connect(mariadb_url) as other:
        other.begin()
        other.cursor().execute("SELECT 1 FROM jm_job FOR UPDATE")
        assert stores.holder().claim() == []
        with pytest.raises(TransientStoreError, match="Lock wait timeout"):
            stores.settlement.cancel(job_id, "")
        other.rollback()
    assert stores.settlement.cancel(job_id, "").value == "cancelled"


@pytest.mark.mariadb
def test_a_deadlock_is_tried_again(database: Database) -> None:
    stores = stores_of(database)
    one, two = stores.enqueue(2)
    tries: list[str] = []
    met = threading.Barrier(2)

    def swap(first: Any, second: Any) -> None:
        def work(tx: Any) -> None:
            tries.append(threading.current_thread().name)
            tx.row("job_lock", id=first)
            if len(tries) <= 2:
                met.wait(5)
            tx.row("job_lock", id=second)

        database.gateway.transaction("swap", work)

    other = threading.Thread(target=swap, args=(two, one))
    other.start()
    swap(one, two)
    other.join()
    assert len(tries) == 3, "one of the two was undone, and came again"


@pytest.mark.mariadb
def test_a_database_that_does_not_exist_is_refused_at_once(mariadb_url: str, make_database: Any) -> None:
    with pytest.raises(ConfigurationError, match="Unknown database"):
        make_database(f"{mariadb_url}_absent", startup_timeout=30).open()
    with pytest.raises(ConfigurationError, match="names no database"):
        make_database(mariadb_url.rpartition("/")[0], startup_timeout=30).open()


@pytest.mark.mariadb
def test_a_wrong_password_is_refused_without_showing_it(mariadb_url: str, make_database: Any) -> None:
    wrong = mariadb_url.replace("@", "not-it@", 1)
    with pytest.raises(ConfigurationError, match="Access denied") as caught:
        make_database(wrong, startup_timeout=30).open()
    assert "not-it" not in str(caught.value)


@pytest.mark.mariadb
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_how_the_caller_reads_and_writes_is_no_matter(
    mariadb_url: str, database: Database, charset: str
) -> None:
    """Whatever time zone, isolation, SQL mode and character set the caller has chosen."""
    stores = stores_of(database)
    due = datetime(9999, 12, 31, 22, 59, 59, 999_999, UTC)
    with connect(mariadb_url) as connection:
        connection.autocommit(False)
        connection.use_unicode = False
        connection.set_character_set(charset)
        cursor = connection.cursor()
        cursor.execute("SET SESSION time_zone = '+05:45', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM jm_job")  # the snapshot is taken
        cursor.fetchall()
        committed = new_job(unique_key="after", data='{"n": "☃ 😀 \\\\ \'"}', run_at=due)
        stores.settlement.enqueue_keyed([committed], "return")
        mine = new_job(
            unique_key="mine", definition_id="☃ 😀", data='{"n": "☃ 😀 \\\\ \'"}', delay=timedelta(1)
        )
        met, made = stores.settlement.enqueue_in(connection, [new_job(unique_key="after"), mine], "return")
        assert (met.job_id, met.inserted, met.run_at) == (committed.id, False, due)
        assert met.job is not None
        assert (met.job.id, met.job.scheduled_at) == (committed.id, due)
        if charset == "utf8mb4":  # what is read goes through the caller's character set
            assert met.job == stores.job(committed.id)
        assert made.inserted
        assert connection.use_unicode is False
        connection.commit()
    stored = stores.job(mine.id)
    assert (stored.definition_id, stored.data) == ("☃ 😀", {"n": "☃ 😀 \\ '"})
    assert stored.scheduled_at == made.run_at == stored.enqueued_at + timedelta(1)


@pytest.mark.mariadb
def test_claims_of_two_sessions_are_disjoint_in_every_priority(database: Database, stores: Stores) -> None:
    for priority in (1, 3, 5):
        stores.enqueue(20, priority=priority)
    one, two = stores.holder(), stores.holder()
    seen: list[set[Any]] = []

    def first(tx: Any) -> None:
        claimed = database.dialect.claim(tx, one.request(10))
        seen.append({job.id for job in claimed})
        other = database.gateway.transaction(
            "other", lambda inner: database.dialect.claim(inner, two.request(10))
        )
        seen.append({job.id for job in other})

    database.gateway.transaction("first", first)
    assert [len(ids) for ids in seen] == [30, 30]
    assert not seen[0] & seen[1]


def test_a_connection_goes_when_it_was_idle_for_long_not_when_it_is_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session ends after sixty seconds of silence; until half of that it is used again."""

    def session() -> int:
        number = database.gateway.read("id", lambda tx: _one(tx.cursor, "SELECT CONNECTION_ID()"))
        return int(number)

    class Later:
        seconds = 0.0

        @classmethod
        def monotonic(cls) -> float:
            return cls.seconds

    monkeypatch.setattr(mysqlsession, "time", Later)
    first = session()
    for _ in range(5):
        Later.seconds += 29
        assert session() == first
    Later.seconds += 31
    second = session()
    assert second != first
    assert session() == second
    assert database.gateway.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def _one(cursor: Any, sql: str) -> Any:
    ((value,),) = cursor.execute(sql).fetchall()
    return value
