"""``use_sqlserver``: in code, in TOML and in the environment; its URL never shows a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobmaster.cli.standalone import configured
from jobmaster.cluster.config import ClusterConfig
from jobmaster.cluster.settings import DatabaseSettings, without_password
from jobmaster.errors import ConfigurationError

pytest.importorskip("pyodbc", reason="the driver of SQL Server cannot be imported here", exc_type=ImportError)


def chosen(config: ClusterConfig) -> DatabaseSettings:
    database, _, problems = config._choose_databases(False)
    assert problems == []
    assert database is not None
    return database


def test_in_code() -> None:
    database = chosen(
        ClusterConfig("c").use_sqlserver(
            "sqlserver://sa:hush@h:1444/db?Encrypt=no", driver="FreeTDS", schema="jobs", pool_size=3
        )
    )
    assert database.kind == "mssql"
    assert database.url == "mssql+pyodbc://sa:hush@h:1444/db?Encrypt=no"
    assert (database.driver, database.schema, database.pool_size) == ("FreeTDS", "jobs", 3)
    assert "hush" not in repr(database)


def test_a_whole_connection_string_is_not_shown() -> None:
    url = "mssql+pyodbc:///?odbc_connect=Server%3Dh%3BPWD%3Dhush&x=1"
    assert without_password(url) == "mssql+pyodbc:///?odbc_connect=***&x=1"
    assert "hush" not in repr(chosen(ClusterConfig("c").use_sqlserver(url)))


def test_in_toml_and_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobmaster.toml"
    path.write_text('name = "c"\n[use_sqlserver]\nurl = "mssql://h/db"\ndriver = "FreeTDS"\n')
    assert chosen(ClusterConfig.from_toml(path)).driver == "FreeTDS"
    monkeypatch.setenv("JOBMASTER_NAME", "c")
    monkeypatch.setenv("JOBMASTER_USE_SQLSERVER", "mssql://h/other")
    assert chosen(ClusterConfig.from_env()).url == "mssql+pyodbc://h/other"


def test_on_the_command_line() -> None:
    assert chosen(configured("c", "mssql://h/db")).kind == "mssql"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///x.db", "use_sqlserver was given the URL of a sqlite database"),
        ("h/db", "use_sqlserver takes a URL such as mssql://"),
        ("mssql+pymssql://h/db", "through pyodbc"),
    ],
)
def test_what_does_not_fit_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ClusterConfig("c").use_sqlserver(url).build()


def test_other_steps_refuse_its_url() -> None:
    with pytest.raises(ConfigurationError, match="use_postgres was given the URL of a SQL Server database"):
        ClusterConfig("c").use_postgres("mssql://h/db").build()


def test_a_driver_is_named_by_text() -> None:
    with pytest.raises(ConfigurationError, match="driver must be the name of an ODBC driver, not 18"):
        ClusterConfig("c").use_sqlserver("mssql://h/db", driver=18).build()  # type: ignore[arg-type]


def test_as_a_master_and_as_an_agent() -> None:
    config = (
        ClusterConfig("c")
        .use_sqlserver_for_master("mssql://sa:hush@h/db", driver="FreeTDS")
        .add_agent_connection("north", "mssql://h/db", driver="FreeTDS", schema="jobs")
        .add_agent_connection("beside", "mssql://sa:other@h/db")
        .add_agent_connection("south", "sqlite:///south.db")
    )
    master, agents, problems = config._choose_databases(True)
    assert problems == []
    assert master is not None
    assert (master.kind, master.driver) == ("mssql", "FreeTDS")
    assert (agents["north"].kind, agents["north"].driver, agents["north"].schema) == (
        "mssql",
        "FreeTDS",
        "jobs",
    )
    assert [agents[name].table_prefix for name in ("north", "beside")] == ["jm_", "jm_beside_"]


def test_whole_connection_strings_are_told_apart() -> None:
    url = "mssql+pyodbc:///?odbc_connect=Server%3D{}%3BDatabase%3Dd"
    config = ClusterConfig("c").use_sqlserver_for_master(url.format("a"))
    _, agents, problems = config.add_agent_connection("north", url.format("b"))._choose_databases(True)
    assert problems == []
    assert agents["north"].table_prefix == "jm_"
    _, agents, _ = config.add_agent_connection("beside", url.format("a"))._choose_databases(True)
    assert agents["beside"].table_prefix == "jm_beside_"


def test_in_toml_as_a_master_and_as_an_agent(tmp_path: Path) -> None:
    path = tmp_path / "jobmaster.toml"
    path.write_text(
        'name = "c"\nuse_sqlserver_for_master = "mssql://h/db"\n'
        '[[agents]]\nname = "north"\nurl = "mssql://g/db"\ndriver = "FreeTDS"\n'
    )
    master, agents, problems = ClusterConfig.from_toml(path)._choose_databases(True)
    assert problems == []
    assert master is not None
    assert agents["north"].driver == "FreeTDS"


def test_no_other_database_has_a_driver() -> None:
    config = ClusterConfig("c").use_sqlserver_for_master("mssql://h/db")
    config.add_agent_connection("north", "postgresql://h/db", driver="FreeTDS")
    with pytest.raises(ConfigurationError, match="'north': driver is an option of SQL Server"):
        config.build()
