"""The options of a NATS agent connection, checked without connecting."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..domain.names import check_prefix
from .faults import count_fault
from .settings import DatabaseSettings

__all__ = ["LONGEST_THRESHOLD", "is_nats", "not_nats", "read_nats_agent", "threshold_fault"]

LONGEST_THRESHOLD = timedelta(minutes=2)
"""Of a cluster with a NATS agent: its default, too."""
_ONLY_HERE = ("replicas", "max_bytes")
_NOT_HERE = ("schema", "pool_size", "pgbouncer", "driver")


def is_nats(url: object) -> bool:
    """Whether a URL names NATS servers."""
    return isinstance(url, str) and url.startswith(("nats://", "tls://"))


def not_nats(what: str, given: Mapping[str, Any]) -> list[str]:
    """Options of NATS that were given to an agent of another kind."""
    return [f"{what}: {name} is an option of NATS" for name in _ONLY_HERE if given.get(name) is not None]


def read_nats_agent(
    what: str, url: str, shared: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[DatabaseSettings | None, list[str]]:
    """The settings of a NATS agent, or what is wrong with it."""
    if importlib.util.find_spec("nats") is None:
        return None, [f'{what}: NATS needs nats-py: pip install "jobmaster[nats]"']
    from ..agents.nats.options import connect_args_faults, read_servers

    options = {**shared, **{name: value for name, value in given.items() if value not in (None, False)}}
    faults = [f"{name} is no option of NATS" for name in _NOT_HERE if given.get(name)]
    faults += read_servers(url)[1]
    if "table_prefix" in options and (fault := check_prefix(options["table_prefix"])):
        faults.append(fault)
    replicas = options.get("replicas")
    if replicas is not None and (isinstance(replicas, bool) or replicas not in (1, 3, 5)):
        faults.append(f"replicas must be 1, 3 or 5, not {replicas!r}")
    if options.get("max_bytes") is not None:
        faults += [f for f in [count_fault("max_bytes", options["max_bytes"], 1_000_000, 2**50)] if f]
    args = options.get("connect_args", {})
    if not isinstance(args, Mapping):
        faults.append(f"connect_args must be a mapping, not {type(args).__name__}")
    else:
        faults += connect_args_faults(args)
    if faults:
        return None, [f"{what}: {fault}" for fault in faults]
    wanted = ("table_prefix", "connect_args", "auto_provision", *_ONLY_HERE)
    return DatabaseSettings(url, "nats", **{name: options[name] for name in wanted if name in options}), []


def threshold_fault(threshold: timedelta | None) -> str | None:
    """What is wrong with the transient threshold of a cluster that has a NATS agent."""
    if threshold is None or threshold <= LONGEST_THRESHOLD:
        return None
    return (
        f"transient_threshold may be at most {LONGEST_THRESHOLD.seconds // 60} minutes with a NATS agent, "
        f"not {threshold}: leave it out, and it is that"
    )
