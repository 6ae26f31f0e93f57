"""Makes the adapters that a cluster's settings ask for. Imports drivers only for what is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .backend import Stores
from .settings import ClusterSettings

if TYPE_CHECKING:
    from ..sql.gateway import FaultPoints

__all__ = ["wire"]

_POOL_SIZE = 10


def wire(settings: ClusterSettings, faults: FaultPoints | None = None) -> Stores:
    """The stores of a cluster, connected to nothing yet. ``faults`` is told of every commit, for tests.

    Standalone is nothing but this wiring: one database in both roles, and the settlement for it.
    """
    from ..agents.same_database import SameDatabaseSettlement
    from ..agents.sql import SqlTransport
    from ..master.sql import SqlMasterStore
    from ..sql.database import open_database

    wanted = settings.database
    database = open_database(
        wanted.url,
        cluster_id=settings.cluster_id,
        table_prefix=wanted.table_prefix,
        schema=wanted.schema,
        pool_size=wanted.pool_size if wanted.pool_size is not None else _POOL_SIZE,
        connect_args=wanted.connect_args,
        pgbouncer=wanted.pgbouncer,
        driver=wanted.driver,
        operation_timeout=settings.operation_timeout.total_seconds(),
        startup_timeout=settings.startup_timeout.total_seconds(),
        auto_provision=wanted.auto_provision,
        faults=faults,
    )
    return Stores(
        SqlMasterStore(database),
        SqlTransport(database),
        SameDatabaseSettlement(database, settings.lease.total_seconds() / 3),
        database.open,
        database.close,
        database.shown,
    )
