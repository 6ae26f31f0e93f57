"""What SQL Server is given in place of long lists and of nested values, without a server."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy.engine import make_url

from jobmaster.sql.dialect import Names, Options
from jobmaster.sql.gateway import bind
from jobmaster.sql.sqlserver import SqlServerDialect
from jobmaster.sql.sqlservermembers import same_member
from jobmaster.sql.urls import StoreUrl

NAMES = Names("jm_", "dbo")


@pytest.fixture
def dialect() -> SqlServerDialect:
    return SqlServerDialect(StoreUrl("mssql", make_url("mssql://h/db"), "database 'db' at h"), Options())


def test_five_thousand_ids_are_one_parameter(dialect: SqlServerDialect) -> None:
    ids = [UUID(int=number) for number in range(5000)]
    for name in ("synced", "copies_lock", "taken", "history_drop", "attempts_shipped"):
        text = dialect.texts(NAMES)[name]
        given = dict.fromkeys(text.names, 1) | {"ids": ids}
        sql, values = bind(dialect, text, given)
        assert sql.count("?") == len(values) == len(text.names) <= 2
        assert json.loads(values[text.names.index("ids")])[-1] == ids[-1].hex


def test_names_of_agents_stay_text_in_a_list(dialect: SqlServerDialect) -> None:
    text = dialect.texts(NAMES)["held_due"]
    assert "agents" in text.lists
    given = dict.fromkeys(text.names, 1) | {"agents": ["north", "süd"]}
    _, values = bind(dialect, text, given)
    assert json.loads(values[text.names.index("agents")]) == ["north", "süd"]


def test_a_metadata_value_is_taken_apart() -> None:
    condition, given = same_member(0, 'k"', {"b": [1.5, None], "a ": "x"})
    leaves = [['k"', "b", "0", "[1.5]"], ['k"', "b", "1", "[null]"], ['k"', "a ", '["x"]']]
    steps = [['k"'], ['k"', "b"], *leaves]
    assert list(given.values()) == [step for path in steps for step in path]
    assert condition.count("EXISTS") == 5
    assert "m0.type = 5 AND (SELECT count(*) FROM OPENJSON(" in condition
    assert all(f":{name}" in condition for name in given)
