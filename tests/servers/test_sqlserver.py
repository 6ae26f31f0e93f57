"""The one test that is skipped where there is no SQL Server; the others are then not collected."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.servers import ExternalSqlServer


@pytest.mark.sqlserver
def test_databases_come_and_go(sqlserver_server: ExternalSqlServer) -> None:
    url = sqlserver_server.create_database()
    with closing(sqlserver_server.connect(url)) as connection:
        name = connection.execute("SELECT DB_NAME()").fetchone()[0]
        assert url.endswith(f"/{name}")
        assert len(sqlserver_server.sessions(url)) == 1
    sqlserver_server.drop_database(url)
    with closing(sqlserver_server.connect()) as connection:
        assert connection.execute("SELECT DB_ID(?)", name).fetchone()[0] is None
