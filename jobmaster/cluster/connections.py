"""Enqueue inside a transaction of the caller: which of the cluster's stores does it lead to?"""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.job import NewJob
from ..errors import ConfigurationError, TransientStoreError, TransportUnavailable
from ..ports import Keyed, OnConflict, StoreElsewhere
from .backend import Agent, Backend

__all__ = ["enqueue_in", "enqueue_in_async"]


def enqueue_in(
    backend: Backend, connection: object, news: Sequence[NewJob], on_conflict: OnConflict
) -> list[Keyed]:
    """Insert through a sync connection to the master or to an agent, known by the stamp behind it."""
    misses: list[StoreElsewhere] = []
    for agent in _stores(backend):
        try:
            keyed = agent.settlement.enqueue_in(connection, news, on_conflict)
        except StoreElsewhere as fault:
            misses.append(fault)
        else:
            return _placed(backend, agent, keyed)
    raise _nowhere(backend, misses)


async def enqueue_in_async(
    backend: Backend, connection: object, news: Sequence[NewJob], on_conflict: OnConflict
) -> list[Keyed]:
    """The same for a connection of any kind."""
    misses: list[StoreElsewhere] = []
    for agent in _stores(backend):
        try:
            keyed = await agent.settlement.enqueue_in_async(connection, news, on_conflict)
        except StoreElsewhere as fault:
            misses.append(fault)
        else:
            return _placed(backend, agent, keyed)
    raise _nowhere(backend, misses)


def _stores(backend: Backend) -> list[Agent]:
    try:
        backend.open(backend.operation_timeout)
    except TransientStoreError as fault:
        if not backend.distributed:
            raise TransportUnavailable(str(fault)) from fault
        return backend.reachable()
    return [backend.held, *backend.reachable()] if backend.distributed else [backend.held]


def _placed(backend: Backend, agent: Agent, keyed: list[Keyed]) -> list[Keyed]:
    if agent is backend.held:
        return keyed
    return [item._replace(agent=agent.name) for item in keyed]


def _nowhere(backend: Backend, misses: Sequence[StoreElsewhere]) -> ConfigurationError:
    if len(misses) == 1:
        return misses[0]
    shown = ", ".join(agent.location for agent in (backend.held, *backend.agents.values()))
    return ConfigurationError(
        "connection= leads neither to the master nor to an agent of cluster "
        f"{backend.cluster_id!r} that can be reached now: {shown}"
    )
