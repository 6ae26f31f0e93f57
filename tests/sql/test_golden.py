"""The text of every statement, per engine, as files: a change of one is seen in review.

`JOBMASTER_WRITE_GOLDEN=1 pytest tests/sql/test_golden.py` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from jobmaster.sql import open_database
from jobmaster.sql.database import Database, Role
from jobmaster.sql.dialect import Dialect, Names, Options
from jobmaster.sql.sqlserver import SqlServerDialect
from jobmaster.sql.urls import StoreUrl

GOLDEN = Path(__file__).parent / "golden"
ENGINES = {
    "sqlite": "golden.db",
    "postgresql": "postgresql://localhost/golden",
    "mysql": "mysql://localhost/golden",
    "sqlserver": "mssql://h/golden",
}
SCHEMAS = {"postgresql": "public", "mysql": "golden", "sqlserver": "dbo"}


def dialect_of(engine: str) -> Dialect:
    """The dialect, without a driver where one may be missing."""
    if engine == "sqlserver":
        return SqlServerDialect(StoreUrl("mssql", make_url(ENGINES[engine]), "golden"), Options())
    return open_database(ENGINES[engine], cluster_id="golden").dialect


def rendered(engine: str) -> dict[str, str]:
    """Statement texts by name, with the default prefix."""
    dialect = dialect_of(engine)
    texts = dialect.texts(Names("jm_", SCHEMAS.get(engine), dialect.quote)).all()
    return {name: text.sql + "\n" for name, text in texts.items()}


@pytest.mark.parametrize("engine", ENGINES)
def test_statements_are_those_on_file(engine: str) -> None:
    folder = GOLDEN / engine
    texts = rendered(engine)
    if os.environ.get("JOBMASTER_WRITE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.sql"):
            stale.unlink()
        for name, text in texts.items():
            (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    on_file = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.sql")}
    assert texts == on_file


@pytest.mark.parametrize("engine", ENGINES)
def test_no_macro_is_left(engine: str) -> None:
    for name, text in rendered(engine).items():
        assert "{" not in text, name
        assert "}" not in text, name


@pytest.mark.parametrize(
    ("role", "file"),
    [("standalone", "sqlserver.ddl"), ("master", "sqlserver.ddl"), ("agent", "sqlserver_agent.ddl")],
)
def test_the_tables_of_sql_server_are_those_on_file(role: Role, file: str) -> None:
    database = Database(dialect_of("sqlserver"), "jm_", "dbo", "golden", "store", True, None, role)
    on_file = GOLDEN / file
    text = database.schema.sql()
    if os.environ.get("JOBMASTER_WRITE_GOLDEN"):
        on_file.write_text(text, encoding="utf-8")
    assert text == on_file.read_text(encoding="utf-8")
