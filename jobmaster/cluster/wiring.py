"""Makes the adapters that a cluster's settings ask for. Imports drivers only for what is used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..ports import Clock
from .backend import Agent, Stores
from .settings import ClusterSettings, DatabaseSettings

if TYPE_CHECKING:
    from ..agents.skew import Skew
    from ..master.sql import SqlMasterStore
    from ..sql.database import Database, Role
    from ..sql.gateway import FaultPoints

__all__ = ["wire"]

_POOL_SIZE = 10
_READ_WAIT = 2.0
"""Seconds for which an agent is asked about jobs; what the master knows has to do when it does not answer."""
_LAZY_WAIT = 0.5
"""Seconds for which a call waits for an agent that is not open yet; there may be others."""


def wire(settings: ClusterSettings, faults: FaultPoints | None = None) -> Stores:
    """The stores of a cluster, connected to nothing yet. ``faults`` is told of every commit, for tests.

    Standalone is nothing but this wiring: one database in both roles, and the settlement for it.
    """
    from ..agents.same_database import SameDatabaseSettlement
    from ..agents.sql import SqlTransport
    from ..master.schedules import SqlScheduleStore
    from ..master.sql import SqlMasterStore

    role: Role = "master" if settings.agents else "standalone"
    database = _open(settings, settings.database, None, role, faults)
    master = SqlMasterStore(database)
    held = Agent(
        SqlTransport(database),
        SameDatabaseSettlement(database, settings.lease.total_seconds() / 3),
        master,
        database.open,
        database.close,
        database.shown,
        lambda clock: None,
    )
    agents = {
        name: _agent(settings, name, wanted, master, faults) for name, wanted in settings.agents.items()
    }
    return Stores(master, held, SqlScheduleStore(database), agents)


def _agent(
    settings: ClusterSettings,
    name: str,
    wanted: DatabaseSettings,
    master: SqlMasterStore,
    faults: FaultPoints | None,
) -> Agent:
    logger = logging.getLogger(f"jobmaster.{settings.cluster_id}.agent.{name}")
    if wanted.kind == "nats":
        return _nats_agent(settings, name, wanted, master, faults, logger)
    from ..agents.agent_database import AgentDatabaseSettlement
    from ..agents.skew import Skew
    from ..agents.sql import SqlTransport
    from ..sql.reading import SqlJobReader

    database = _open(settings, wanted, name, "agent", faults)
    skew = Skew()
    return Agent(
        SqlTransport(database, skew),
        AgentDatabaseSettlement(database, master, skew, settings.lease.total_seconds() / 3, logger),
        SqlJobReader(database, skew.shown, _READ_WAIT, skew.outward),
        database.open,
        database.close,
        database.shown,
        _clock_learner(database, skew, logger),
    )


def _nats_agent(
    settings: ClusterSettings,
    name: str,
    wanted: DatabaseSettings,
    master: SqlMasterStore,
    faults: FaultPoints | None,
    logger: logging.Logger,
) -> Agent:
    from ..agents.nats.options import NatsOptions
    from ..agents.nats.reader import NatsJobReader
    from ..agents.nats.settlement import NatsSettlement
    from ..agents.nats.store import NatsStore
    from ..agents.nats.transport import NatsTransport
    from ..engine.clock import SystemClock

    options = NatsOptions(wanted.url, wanted.replicas, wanted.max_bytes, wanted.connect_args)
    store = NatsStore(
        name,
        settings.cluster_id,
        wanted.table_prefix,
        options,
        settings.lease,
        settings.operation_timeout.total_seconds(),
        SystemClock(),
        logger,
        provision=wanted.auto_provision,
        largest=settings.max_message_bytes,
        faults=faults,
    )
    return Agent(
        NatsTransport(store),
        NatsSettlement(store, master, lambda: settings.max_losses, logger),
        NatsJobReader(store),
        store.open,
        store.close,
        options.shown,
        store.follow,
    )


def _clock_learner(database: Database, skew: Skew, logger: logging.Logger) -> Callable[[Clock], None]:
    def learn(clock: Clock) -> None:
        from datetime import timedelta

        from ..sql.gateway import Tx

        asked_at = clock.monotonic()
        store_now = database.gateway.read("now", Tx.now, timeout=_LAZY_WAIT)
        master_now = clock.now()
        trip = timedelta(seconds=clock.monotonic() - asked_at)
        before = skew.ahead
        skew.learn(store_now, master_now - trip / 2, trip / 2)
        if skew.ahead != before:
            logger.warning(
                "the clock of this agent is %+.3f s off the master's: due times are converted",
                skew.ahead.total_seconds(),
            )

    return learn


def _open(
    settings: ClusterSettings,
    wanted: DatabaseSettings,
    name: str | None,
    role: Role,
    faults: FaultPoints | None,
) -> Database:
    from ..sql.database import STANDALONE, open_database

    return open_database(
        wanted.url,
        cluster_id=settings.cluster_id,
        name=name or STANDALONE,
        table_prefix=wanted.table_prefix,
        schema=wanted.schema,
        pool_size=wanted.pool_size if wanted.pool_size is not None else _POOL_SIZE,
        connect_args=wanted.connect_args,
        pgbouncer=wanted.pgbouncer,
        driver=wanted.driver,
        operation_timeout=settings.operation_timeout.total_seconds(),
        startup_timeout=settings.startup_timeout.total_seconds() if role != "agent" else _LAZY_WAIT,
        auto_provision=wanted.auto_provision,
        faults=faults,
        role=role,
    )
