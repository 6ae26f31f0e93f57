"""NATS agents on the command line: looked at by ``check``, made by ``migrate``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from ..errors import JobMasterError
from .refusal import sentence

if TYPE_CHECKING:
    from ..agents.nats.inspection import NatsSight
    from ..cluster.settings import ClusterSettings, DatabaseSettings

__all__ = ["Seen", "inspect", "provide"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing looked at: what, whether it is well, and what was found."""

    what: str
    ok: bool
    detail: str


def inspect(
    settings: ClusterSettings, name: str, wanted: DatabaseSettings, expected: UUID | None
) -> list[Seen]:
    """Connection, streams and identity of a NATS agent; ``expected``: its store as the master knows it."""
    from ..agents.nats.inspection import look
    from ..agents.nats.names import Names
    from ..agents.nats.options import NatsOptions

    names = Names(wanted.table_prefix.strip("_") or "jm", settings.cluster_id, name)
    options = NatsOptions(wanted.url, wanted.replicas, wanted.max_bytes, wanted.connect_args)
    try:
        sight = look(names, options, settings.operation_timeout.total_seconds(), settings.max_message_bytes)
    except JobMasterError as fault:
        return [Seen("connection", False, sentence(fault))]
    return [
        Seen("connection", True, f"{options.shown}, NATS {sight.version} with JetStream"),
        _streams(sight),
        _identity(sight, settings.cluster_id, name, expected),
    ]


def _streams(sight: NatsSight) -> Seen:
    if sight.faults:
        return Seen("streams", False, "; ".join(sight.faults))
    if sight.missing:
        says = f"{', '.join(sight.missing)} missing: `jobmaster migrate` or the first start makes them"
        return Seen("streams", sight.store_id is None, says)
    return Seen("streams", True, "as they are needed")


def _identity(sight: NatsSight, cluster_id: str, name: str, expected: UUID | None) -> Seen:
    if sight.store_id is None:
        if expected is None:
            return Seen("identity", True, "not stamped yet: the first start does it")
        says = f"not stamped, and the master knows agent {name!r} as store {expected}: was it wiped?"
        return Seen("identity", False, says)
    if (sight.cluster_id, sight.name) != (cluster_id, name):
        says = f"the streams belong to agent {sight.name!r} of cluster {sight.cluster_id!r}"
        return Seen("identity", False, says)
    if expected is not None and expected != sight.store_id:
        says = (
            f"store {sight.store_id}, but the master knows agent {name!r} as store {expected}: it was wiped, "
            "restored or is another server"
        )
        return Seen("identity", False, says)
    return Seen("identity", True, f"cluster {cluster_id!r}, agent {name!r}, store {sight.store_id}")


def provide(settings: ClusterSettings, name: str, wanted: DatabaseSettings) -> str:
    """Make the streams of an agent that are missing, check the others; where they are."""
    from ..agents.nats.options import NatsOptions
    from ..agents.nats.store import NatsStore
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
        logging.getLogger(__name__),
        largest=settings.max_message_bytes,
    )
    try:
        store.open(settings.startup_timeout.total_seconds())
    finally:
        store.close()
    return options.shown
