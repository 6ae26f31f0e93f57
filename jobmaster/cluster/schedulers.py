"""Finding a cluster's scheduler by name: ``jobmaster.get_scheduler()``."""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary

from ..errors import ConfigurationError
from .scheduler import Scheduler

__all__ = ["get_scheduler", "register"]

# Names of living clusters only: a directory, holding nothing alive and shared by nobody's behaviour.
_by_cluster: WeakValueDictionary[str, Scheduler] = WeakValueDictionary()
_default: WeakValueDictionary[str, Scheduler] = WeakValueDictionary()
_lock = threading.Lock()


def register(scheduler: Scheduler, cluster_id: str, *, default: bool) -> None:
    """Enter a newly built cluster; the first one living, or one asked for, is the default."""
    with _lock:
        _by_cluster[cluster_id] = scheduler
        if default or "default" not in _default:
            _default["default"] = scheduler


def get_scheduler(cluster_id: str | None = None) -> Scheduler:
    """The scheduler of a cluster built in this process; without a name, of the default one.

    The default is the cluster that called ``set_as_default()``, else the first that was built.
    Raises ``ConfigurationError`` when there is none.
    """
    with _lock:
        if cluster_id is None:
            scheduler = _default.get("default")
        else:
            scheduler = _by_cluster.get(cluster_id)
        known = ", ".join(repr(name) for name in sorted(_by_cluster))
    if scheduler is None:
        wanted = "no cluster" if cluster_id is None else f"no cluster {cluster_id!r}"
        rest = f"; there is {known}" if known else ": call build() first"
        raise ConfigurationError(f"{wanted} was built in this process{rest}")
    return scheduler
