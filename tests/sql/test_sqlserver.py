"""What the SQL Server dialect does without a server: drivers, connections, errors, values, statements."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.engine import make_url

from jobmaster.errors import ConfigurationError
from jobmaster.ports.transport import ClaimRequest
from jobmaster.sql import open_database
from jobmaster.sql.dialect import Fault, Names, Options, place, positional
from jobmaster.sql.gateway import bind
from jobmaster.sql.sqlserver import SqlServerDialect
from jobmaster.sql.sqlservererrors import classify, natives, tidy
from jobmaster.sql.sqlserverrows import Results, asked, rows_text
from jobmaster.sql.sqlserverstatements import bulk_texts
from jobmaster.sql.sqlserverurl import choose_driver, connection_string, read_sqlserver_url, secrets_of
from jobmaster.sql.statements import BULK, TEMPLATES
from jobmaster.sql.urls import StoreUrl, parse_url

NAMES = Names("jm_", "dbo")
EIGHTEEN = "ODBC Driver 18 for SQL Server"


@pytest.fixture
def dialect() -> SqlServerDialect:
    return SqlServerDialect(
        StoreUrl("mssql", make_url("mssql://sa:hush@h/db"), "database 'db' at h"), Options()
    )


# --- urls and drivers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["mssql", "sqlserver", "mssql+pyodbc"])
def test_every_form_of_url_names_a_database(scheme: str) -> None:
    url = parse_url(f"{scheme}://sa:se%40cret@db.example:1444/orders?Encrypt=no")
    assert url.kind == "mssql"
    assert url.url.drivername == "mssql+pyodbc"
    assert url.url.password == "se@cret"
    assert url.shown == "database 'orders' at db.example:1444"


def test_a_whole_connection_string_names_one_too() -> None:
    text = "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BServer%3Dh%2C1433%3BDatabase%3Dd%3BUID%3Du%3BPWD%3Dhush"
    url = parse_url(text)
    assert url.shown == "database 'd' at h,1433"
    assert secrets_of(url.url) == ["hush"]
    assert connection_string(url.url, None, []) == "DRIVER={X};Server=h,1433;Database=d;UID=u;PWD=hush"
    assert connection_string(url.url, None, [], {"Encrypt": "no"}).endswith(";Encrypt=no")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mssql+pymssql://h/db", "through pyodbc: write mssql://"),
        ("mssql:///db", "names no server"),
    ],
)
def test_what_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_url(text)


@pytest.mark.parametrize(
    ("wanted", "installed", "chosen"),
    [
        (None, ["FreeTDS", "ODBC Driver 17 for SQL Server", EIGHTEEN], EIGHTEEN),
        (
            None,
            ["ODBC Driver 9 for SQL Server", "ODBC Driver 17 for SQL Server"],
            "ODBC Driver 17 for SQL Server",
        ),
        (None, ["PostgreSQL", "FreeTDS"], "FreeTDS"),
        ("FreeTDS", ["FreeTDS", EIGHTEEN], "FreeTDS"),
        ("/opt/lib/libmsodbcsql.so", [], "/opt/lib/libmsodbcsql.so"),
    ],
)
def test_the_driver_is_the_wanted_one_or_the_best(
    wanted: str | None, installed: list[str], chosen: str
) -> None:
    assert choose_driver(wanted, installed) == chosen


def test_a_driver_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no ODBC driver 'Mine' on this machine; found: 'FreeTDS', 'X'"
    ):
        choose_driver("Mine", ["FreeTDS", "X"])
    with pytest.raises(
        ConfigurationError, match=r"found: none at all\. Install Microsoft's 'ODBC Driver 18.*tdsodbc"
    ):
        choose_driver(None, [])


@pytest.mark.parametrize(
    ("text", "installed", "expected"),
    [
        (
            "mssql://sa:p;w}d@h:1444/db?Encrypt=yes&TrustServerCertificate=yes",
            [EIGHTEEN],
            "DRIVER={ODBC Driver 18 for SQL Server};Server=h,1444;Database=db;UID=sa;PWD={p;w}}d};"
            "APP=jobmaster;Encrypt=yes;TrustServerCertificate=yes",
        ),
        (
            "mssql://sa:pw@h/db?Encrypt=yes&TrustServerCertificate=yes&app=mine",
            ["FreeTDS"],
            "DRIVER={FreeTDS};Server=h;Port=1433;Database=db;UID=sa;PWD=pw;APP=mine;TDS_Version=7.4;"
            "Encryption=require",
        ),
        (
            "mssql://h/db?driver=FreeTDS&TDS_Version=7.3&Encrypt=no",
            ["FreeTDS", EIGHTEEN],
            "DRIVER={FreeTDS};Server=h;Port=1433;Database=db;Trusted_Connection=Yes;APP=jobmaster;TDS_Version=7.3;"
            "Encryption=request",
        ),
        (
            "mssql://h/db?Authentication=ActiveDirectoryMsi",
            [EIGHTEEN],
            "DRIVER={ODBC Driver 18 for SQL Server};Server=h;Database=db;APP=jobmaster;"
            "Authentication=ActiveDirectoryMsi",
        ),
        ("mssql+pyodbc://sa:pw@my_dsn", [], "DSN=my_dsn;UID=sa;PWD=pw;APP=jobmaster"),
        (
            "mssql://sa:pw@h",
            ["FreeTDS"],
            "DRIVER={FreeTDS};Server=h;Port=1433;Database=master;UID=sa;PWD=pw;APP=jobmaster;TDS_Version=7.4",
        ),
    ],
)
def test_connection_strings(text: str, installed: list[str], expected: str) -> None:
    url, shown = read_sqlserver_url(make_url(text))
    assert connection_string(url, None, installed) == expected
    assert "pw" not in shown


def test_options_win_over_the_url() -> None:
    url = make_url("mssql+pyodbc://sa:pw@h/db?driver=A&Encrypt=yes")
    made = connection_string(url, "B", ["A", "B"], {"encrypt": "no"})
    assert "DRIVER={B}" in made
    assert "Encrypt=no" in made


def test_a_missing_driver_of_python_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(ConfigurationError, match=r'pip install "jobmaster\[sqlserver\]"'):
        open_database("mssql://h/db", cluster_id="c")


# --- errors -----------------------------------------------------------------------------------------------


def microsoft(state: str, said: str, number: int) -> tuple[str, str]:
    """The arguments of an error as Microsoft's driver fills them in."""
    tags = f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server]"
    return state, f"{tags}[SQL Server]{said} ({number}) (SQLExecDirectW)"


def freetds(state: str, said: str, number: int) -> tuple[str, str]:
    """The same of FreeTDS."""
    return state, f"[{state}] [FreeTDS][SQL Server]{said} ({number}) (SQLExecDirectW)"


@pytest.mark.parametrize("driver", [microsoft, freetds])
@pytest.mark.parametrize(
    ("state", "number", "fault"),
    [
        ("40001", 1205, Fault.TRANSIENT),
        ("HY000", 1222, Fault.TRANSIENT),
        ("HY000", 3960, Fault.TRANSIENT),
        ("HY000", 9002, Fault.TRANSIENT),
        ("HY000", 1105, Fault.TRANSIENT),
        ("08S01", 10054, Fault.LOST),
        ("08S01", 233, Fault.LOST),
        ("08S01", 64, Fault.LOST),
        ("08001", 10061, Fault.LOST),
        ("HYT00", 0, Fault.LOST),
        ("HYT01", 0, Fault.LOST),
        ("01002", 0, Fault.LOST),
        ("HY000", 10928, Fault.LOST),
        ("HY000", 10929, Fault.LOST),
        ("HY000", 40501, Fault.LOST),
        ("HY000", 40613, Fault.LOST),
        ("HY000", 6005, Fault.LOST),
        ("HY000", 6006, Fault.LOST),
        ("23000", 2627, Fault.UNIQUE),
        ("23000", 2601, Fault.UNIQUE),
        ("22001", 2628, Fault.CONTENT),
        ("22001", 8152, Fault.CONTENT),
        ("22003", 8115, Fault.CONTENT),
        ("28000", 18456, Fault.REFUSED),
        ("42000", 18456, Fault.REFUSED),
        ("42000", 4060, Fault.REFUSED),
        ("42000", 229, Fault.REFUSED),
        ("42000", 262, Fault.REFUSED),
        ("42S02", 208, Fault.MISSING_TABLE),
        ("42S22", 207, Fault.MISSING_TABLE),
        ("42000", 102, Fault.OTHER),
        ("42000", 8622, Fault.OTHER),
    ],
)
def test_errors_are_classed_alike_for_both_drivers(
    driver: Any, state: str, number: int, fault: Fault
) -> None:
    assert classify(Exception(*driver(state, "What it says (1205) here.", number))) is fault


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (
            (
                "08001",
                "[08001] [FreeTDS][SQL Server]Unable to connect to data source (0) (SQLDriverConnect); "
                "[42000] [FreeTDS][SQL Server]Login failed for user 'sa'. (18456)",
            ),
            Fault.REFUSED,
        ),
        (
            ("08S01", "[08S01] [FreeTDS][SQL Server]Write to the server failed (20006) (SQLExecDirectW)"),
            Fault.LOST,
        ),
        (
            (
                "08001",
                "[08001] [FreeTDS][SQL Server]Unable to connect: no server (20009) (SQLDriverConnect)",
            ),
            Fault.LOST,
        ),
        (
            (
                "01000",
                "[01000] [unixODBC][Driver Manager]Can't open lib '/x.so' (0) (SQLDriverConnect)",
            ),
            Fault.REFUSED,
        ),
        (
            ("IM002", "[IM002] [unixODBC][Driver Manager]Data source name not found (0) (SQLDriverConnect)"),
            Fault.REFUSED,
        ),
        (
            (
                "08001",
                "[08001] [Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A86::"
                "certificate verify failed:self-signed certificate] (-1) (SQLDriverConnect)",
            ),
            Fault.REFUSED,
        ),
        (("HY000", "The driver did not supply an error!"), Fault.OTHER),
        ((), Fault.OTHER),
    ],
)
def test_errors_of_drivers_and_of_their_manager(arguments: tuple[str, ...], fault: Fault) -> None:
    assert classify(Exception(*arguments)) is fault


def test_a_number_that_is_too_big_is_content() -> None:
    assert classify(OverflowError("int too big to convert")) is Fault.CONTENT


def test_what_is_said_is_one_line_without_tags_numbers_and_secrets(dialect: SqlServerDialect) -> None:
    error = Exception(*microsoft("42000", "Cannot open 'db' with hush.", 4060))
    assert tidy(error) == "Cannot open 'db' with hush."
    assert dialect.tidy(error) == "Cannot open 'db' with ***."
    assert tidy(ValueError()) == "ValueError"
    assert natives(error) == [4060]
    certificate = Exception(
        "08001", "[08001] SSL Provider: certificate verify failed (-1) (SQLDriverConnect)"
    )
    assert "TrustServerCertificate=yes" in tidy(certificate)


# --- values -----------------------------------------------------------------------------------------------


def test_places_are_filled_in_their_order(dialect: SqlServerDialect) -> None:
    assert place("a = :a AND b = :b OR a = :a", "qmark", []) == "a = ? AND b = ? OR a = ?"
    text = dialect.render("SELECT :a, :b, :a", NAMES)
    assert (text.sql, text.names) == ("SELECT ?, ?, ?", ("a", "b", "a"))
    assert positional(text, {"a": 1, "b": 2}) == (1, 2, 1)


def test_lists_instants_and_ids_travel_as_plain_values(dialect: SqlServerDialect) -> None:
    one, two = UUID(int=1), UUID(int=2)
    text = dialect.render("UPDATE {table:job} SET run_at = :at WHERE id {in:ids} AND lane = :lane", NAMES)
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    sql, given = bind(dialect, text, {"ids": [one, two], "at": at, "lane": "ü"})
    assert sql.count("?") == 3
    assert given[0] == 1_767_323_045_678_901
    assert dialect.instant(given[0]) == at
    assert json.loads(given[1]) == [one.hex, two.hex]
    assert given[2] == "ü"
    assert dialect.uuid(dialect.bind(one)) == one


def test_rows_keep_everything_in_their_text() -> None:
    text = rows_text(
        ["id", "at", "hash", "text", "n"],
        [
            (
                UUID(int=7),
                datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
                b"\x01\xff",
                '☃ \U0001f600 " \\ \x00',
                None,
            )
        ],
    )
    assert json.loads(text) == [
        {"id": UUID(int=7).hex, "at": -1_000_000, "hash": "01ff", "text": '☃ \U0001f600 " \\ \x00', "n": None}
    ]


def test_a_claim_asks_for_what_it_has_room_for() -> None:
    buckets = {3: UUID(int=3), 5: UUID(int=5), 1: UUID(int=1)}
    after = {5: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=9), UUID(int=8))}
    given = asked(ClaimRequest("default", buckets, {3: 0, 5: 2, 1: 4}, after))
    assert given["buckets"] == 2
    rows = {row["priority"]: row for row in json.loads(given["asked"])}
    assert sorted(rows) == [1, 5]
    assert (rows[5]["after_at"], rows[5]["after_id"], rows[5]["n"]) == (9, UUID(int=8).hex, 2)
    assert (rows[1]["after_at"], rows[1]["after_id"]) == (-(2**63), "0" * 32)


class Cursor:
    """Gives prepared answers, some of them without rows."""

    def __init__(self, *answers: list[Any] | None) -> None:
        self._answers = list(answers)

    @property
    def description(self) -> object:
        return self._answers[0]

    def fetchall(self) -> list[Any]:
        return self._answers[0] or []

    def nextset(self) -> bool:
        self._answers.pop(0)
        if self._answers and self._answers[0] == ["error"]:
            raise ValueError("of a later statement")
        return bool(self._answers)


def test_every_answer_of_a_batch_is_read() -> None:
    assert Results(Cursor(None, [[1]], None, [])).answers() == [[(1,)], []]
    assert Results(Cursor([[1], [2]])).fetchall() == [(1,), (2,)]
    for read in (Results.answers, Results.fetchall):
        with pytest.raises(ValueError, match="of a later statement"):
            read(Results(Cursor([[1]], ["error"])))


# --- statements -------------------------------------------------------------------------------------------


def test_every_bulk_statement_is_said_in_transact_sql() -> None:
    assert bulk_texts().keys() == BULK.keys()


def test_own_words_replace_statements_that_exist(dialect: SqlServerDialect) -> None:
    assert dialect.own_templates.keys() <= TEMPLATES.keys()


@pytest.mark.parametrize("word", ["LIMIT", "FOR UPDATE", "RETURNING", "ON CONFLICT", "GROUP BY 1"])
def test_no_statement_says_what_transact_sql_does_not_know(dialect: SqlServerDialect, word: str) -> None:
    for name, text in dialect.texts(NAMES).all().items():
        assert word not in text.sql, name


def test_what_skips_locks_works_with_and_without_row_versioning(dialect: SqlServerDialect) -> None:
    skipping = [part for text in dialect.texts(NAMES).all().values() for part in text.sql.split("WITH (")[1:]]
    skipping = [part.split(")")[0] for part in skipping if "READPAST" in part.split(")")[0]]
    assert len(skipping) >= 10
    assert all("READCOMMITTEDLOCK" in hints for hints in skipping)
