"""Which database a URL names, and what is said when it names none."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobmaster.errors import ConfigurationError, TransientStoreError
from jobmaster.sql import open_database
from jobmaster.sql.urls import parse_url


@pytest.mark.parametrize("text", ["jobs.db", "sqlite:///jobs.db", "./jobs.db"])
def test_a_relative_file_is_fixed_at_once(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    url = parse_url(text)
    assert url.kind == "sqlite"
    assert url.path == str(tmp_path / "jobs.db")


@pytest.mark.parametrize(
    "text",
    ["postgresql://u:secret@h/db", "postgres://u:secret@h/db", "postgresql+psycopg://u:secret@h/db"],
)
def test_postgres_is_reached_through_psycopg(text: str) -> None:
    url = parse_url(text)
    assert url.kind == "postgresql"
    assert url.url.drivername == "postgresql+psycopg"
    assert "secret" not in url.shown
    assert "'db' at h" in url.shown


@pytest.mark.parametrize(
    "text",
    ["mysql://u:secret@h:3307/db", "mariadb://u:secret@h:3307/db", "mysql+pymysql://u:secret@h:3307/db"],
)
def test_mysql_and_mariadb_are_reached_through_pymysql(text: str) -> None:
    url = parse_url(text)
    assert url.kind == "mysql"
    assert url.url.drivername == "mysql+pymysql"
    assert url.shown == "database 'db' at h:3307"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sqlite://", "in-memory"),
        (":memory:", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("postgresql+psycopg2://h/db", "through psycopg"),
        ("mysql+mysqldb://h/db", "through pymysql"),
        ("oracle://h/db", "'oracle' is not a database"),
        ("postgresql://u:p:q@h:port/db", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_url(text)


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [("psycopg", "postgresql://h/db", "postgres"), ("pymysql", "mariadb://h/db", "mysql")],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf'pip install "jobmaster\[{extra}\]"'):
        open_database(url, cluster_id="c")


@pytest.mark.parametrize(
    "options",
    [{"table_prefix": "a b"}, {"table_prefix": "x" * 31}, {"schema": 'a"b'}, {"table_prefix": "1a"}],
)
def test_names_that_are_no_identifiers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be an SQL identifier"):
        open_database("jobs.db", cluster_id="c", **options)


def test_an_unreachable_server_is_tried_until_the_startup_timeout(make_database: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        database = make_database(f"postgresql://me:secret@127.0.0.1:{port}/orders", startup_timeout=0.5)
        began = time.monotonic()
        with pytest.raises(TransientStoreError) as caught:
            database.open()
    assert 0.4 <= time.monotonic() - began < 20
    assert f"'orders' at 127.0.0.1:{port}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_refused_at_once(postgres_url: str, make_database: Any) -> None:
    database = make_database(f"{postgres_url}_absent", startup_timeout=30)
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match="does not exist"):
        database.open()
    assert time.monotonic() - began < 10


@pytest.mark.sqlite
def test_a_folder_that_does_not_exist_is_refused_at_once(make_database: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the folder .* does not exist"):
        make_database(str(tmp_path / "absent" / "jobs.db")).open()


@pytest.mark.sqlite
def test_a_file_that_is_no_database_is_refused(make_database: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at\n" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        make_database(str(path), startup_timeout=5).open()
