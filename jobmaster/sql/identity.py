"""The stamp of a store: whose it is, what it is called, and a random id that tells it from every other."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from ..errors import ConfigurationError
from .gateway import Gateway, Tx

__all__ = ["Stamp", "claim_identity"]

_MASTER = "standalone"
"""What every store is stamped that holds finished jobs for good."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What ``meta`` says about a store."""

    cluster_id: str
    name: str
    store_id: UUID


def read_stamp(rows: dict[str, str]) -> Stamp | None:
    """The stamp among the rows of ``meta``, or ``None`` when the store is not stamped yet."""
    if "store_id" not in rows:
        return None
    return Stamp(rows["cluster_id"], rows["store_name"], UUID(rows["store_id"]))


def claim_identity(gateway: Gateway, cluster_id: str, name: str, agent: bool = False) -> Stamp:
    """Stamp a fresh store, or check that a stamped one is the one meant.

    Raises :class:`ConfigurationError` for the store of another cluster or of another name, and
    :class:`ConflictError` when another process stamped it at the same moment (try again).
    """
    stamp = gateway.read("read_stamp", lambda tx: read_stamp(dict(tx.rows("meta"))))
    if stamp is None:
        stamp = gateway.transaction("stamp", lambda tx: _stamp(tx, cluster_id, name))
    shown, prefix = gateway.dialect.url.shown, gateway.names.prefix
    if stamp.cluster_id != cluster_id:
        raise ConfigurationError(
            f"cluster {cluster_id!r}: the tables {prefix}* in {shown} belong to cluster "
            f"{stamp.cluster_id!r}; one table prefix serves one cluster, so give another table_prefix or "
            "database"
        )
    if stamp.name != name == _MASTER:
        raise ConfigurationError(
            f"the tables {prefix}* in {shown} belong to agent {stamp.name!r}: a master or standalone "
            "database needs tables of its own, so give another table_prefix or database"
        )
    if agent and stamp.name == _MASTER:
        raise ConfigurationError(
            f"agent {name!r}: the tables {prefix}* in {shown} are those of the master, or of a standalone "
            "cluster; an agent needs tables of its own, so give it another table_prefix or database"
        )
    if stamp.name != name:
        raise ConfigurationError(
            f"agent {name!r} is stamped {stamp.name!r} in this database: {shown}, tables {prefix}*; the name "
            "of a store is permanent, so use that name, or another table_prefix or database"
        )
    return stamp


def _stamp(tx: Tx, cluster_id: str, name: str) -> Stamp:
    found = read_stamp(dict(tx.rows("meta")))
    if found is not None:
        return found
    stamp = Stamp(cluster_id, name, uuid4())
    # The first insert decides between two processes that stamp at once: the other meets its key.
    for key, value in (("store_id", str(stamp.store_id)), ("cluster_id", cluster_id), ("store_name", name)):
        tx.run("meta_put", name=key, value=value)
    tx.run("agent_put", name=name, store_id=stamp.store_id)
    return stamp
