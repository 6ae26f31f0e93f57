"""The job table against its model, on every store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import open_database
from jobmaster.testing.clock import FakeClock
from jobmaster.testing.conformance import Stores
from jobmaster.testing.memory import MemoryDatabase, MemoryMasterStore, MemorySettlement, MemoryTransport
from tests.property.jobtable import JobTable
from tests.servers import sqlserver_wanted


def run(stores: Callable[[], Stores], clear: Callable[[], None], examples: int) -> None:
    """Run the machine on these stores, emptied for every example."""

    def empty(_machine: Any) -> None:
        clear()

    machine = type("StoreJobTable", (JobTable,), {"stores": property(lambda _: stores()), "clear": empty})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_in_memory() -> None:
    made: list[Stores] = []

    def clear() -> None:
        database = MemoryDatabase(FakeClock())
        made[:] = [Stores(MemoryTransport(database), MemorySettlement(database), MemoryMasterStore(database))]

    run(lambda: made[0], clear, examples=150)


@pytest.mark.parametrize(
    ("fixture", "examples"),
    [
        pytest.param("sqlite_url", 60, marks=pytest.mark.sqlite, id="sqlite"),
        pytest.param("postgres_url", 25, marks=pytest.mark.postgres, id="postgres"),
        pytest.param("mariadb_url", 20, marks=pytest.mark.mariadb, id="mariadb"),
        *(
            [pytest.param("sqlserver_url", 60, marks=pytest.mark.sqlserver, id="sqlserver")]
            if sqlserver_wanted()
            else []
        ),
        pytest.param("sqlite_url", 5000, marks=[pytest.mark.sqlite, pytest.mark.long], id="sqlite-long"),
        pytest.param(
            "postgres_url", 5000, marks=[pytest.mark.postgres, pytest.mark.long], id="postgres-long"
        ),
        pytest.param("mariadb_url", 5000, marks=[pytest.mark.mariadb, pytest.mark.long], id="mariadb-long"),
    ],
)
@pytest.mark.timeout(1800)
def test_in_a_database(request: pytest.FixtureRequest, fixture: str, examples: int) -> None:
    database = open_database(request.getfixturevalue(fixture), cluster_id="property")
    stores = Stores(SqlTransport(database), SameDatabaseSettlement(database), SqlMasterStore(database))
    stores.open()
    tables = [database.gateway.names.table(name) for name in ("job", "history", "attempt", "bucket")]

    def clear() -> None:
        database.gateway.transaction(
            "clear", lambda tx: [tx.cursor.execute(f"DELETE FROM {table}") for table in tables]
        )

    try:
        run(lambda: stores, clear, examples)
    finally:
        stores.close()
