"""The options of a NATS agent connection, checked without connecting."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .faults import count_fault
from .settings import DatabaseSettings

__all__ = [
    "LONGEST_THRESHOLD",
    "NATS_ONLY",
    "bare_servers",
    "is_nats",
    "not_nats",
    "read_nats_agent",
    "threshold_fault",
]

LONGEST_THRESHOLD = timedelta(minutes=2)
"""Of a cluster with a NATS agent: its default, too."""


_STREAM = ("replicas", "max_bytes")
_CONNECTION = ("user", "password", "token", "nkey", "credentials", "tls")
"""The same as in ``connect_args``."""
NATS_ONLY = (*_STREAM, *_CONNECTION)
"""What ``add_agent_connection`` takes for NATS only."""
_NOT_HERE = ("schema", "pool_size", "pgbouncer", "driver")
_MOST_BYTES = 2**50
_SCHEMES = re.compile(r"(?:nats|tls|wss?):", re.IGNORECASE)
_BARE = re.compile(r"(?:[^@/\\]*@)?[\w.-]+:\d{1,5}(?:,.*)?")
_PREFIX = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z_][A-Za-z0-9_]{0,29}", re.ASCII)


def is_nats(url: object) -> bool:
    """Whether a URL names NATS servers, or means to."""
    return isinstance(url, str) and _SCHEMES.match(url.strip()) is not None


def bare_servers(url: object) -> bool:
    """Whether this is ``host:port`` without a scheme, which would be taken for a file."""
    return isinstance(url, str) and "://" not in url and _BARE.fullmatch(url.strip()) is not None


def not_nats(what: str, given: Mapping[str, Any]) -> list[str]:
    """Options of NATS that were given to an agent of another kind."""
    names = [name for name in NATS_ONLY if given.get(name) is not None]
    return [f"{what}: {name} is an option of NATS" for name in names]


def read_nats_agent(
    what: str, url: str, shared: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[DatabaseSettings | None, list[str]]:
    """The settings of a NATS agent, or what is wrong with it."""
    if importlib.util.find_spec("nats") is None:
        return None, [f'{what}: NATS needs nats-py: pip install "jobmaster[nats]"']
    from ..agents.nats.options import connect_args_faults, login_faults
    from ..agents.nats.servers import read_servers

    options = {**shared, **{name: value for name, value in given.items() if value is not None}}
    faults = [f"{name} is no option of NATS" for name in _NOT_HERE if given.get(name)]
    servers, unread = read_servers(url.strip())
    faults += unread
    if "table_prefix" in options and not _is_prefix(options["table_prefix"]):
        faults.append(
            "table_prefix must be 1 to 30 of A-Z a-z 0-9 _, one of them a letter or digit and the first no "
            f"digit, not {options['table_prefix']!r}: streams and subjects begin with it"
        )
    replicas = options.get("replicas")
    if replicas is not None and (type(replicas) is not int or replicas not in (1, 3, 5)):
        faults.append(f"replicas must be 1, 3 or 5, not {replicas!r}")
    if options.get("max_bytes") is not None:
        faults += [f for f in [count_fault("max_bytes", options["max_bytes"], 1_000_000, _MOST_BYTES)] if f]
    args = options.get("connect_args", {})
    if not isinstance(args, Mapping):
        faults.append(f"connect_args must be a mapping, not {type(args).__name__}")
    else:
        faults += [
            f"{name} is given twice, beside connect_args and in it"
            for name in _CONNECTION
            if name in options and name in args
        ]
        args = {**args, **{name: options[name] for name in _CONNECTION if name in options}}
        faults += connect_args_faults(args) + login_faults(args, servers)
        options["connect_args"] = args
    if faults:
        return None, [f"{what}: {fault}" for fault in faults]
    wanted = ("table_prefix", "connect_args", "auto_provision", *_STREAM)
    text = re.sub(r"[A-Za-z]+(?=://)", lambda scheme: scheme[0].lower(), url.strip())
    return DatabaseSettings(text, "nats", **{name: options[name] for name in wanted if name in options}), []


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and _PREFIX.fullmatch(value) is not None


def threshold_fault(threshold: timedelta | None) -> str | None:
    """What is wrong with the transient threshold of a cluster that has a NATS agent."""
    if threshold is None or threshold <= LONGEST_THRESHOLD:
        return None
    return (
        f"transient_threshold may be at most {LONGEST_THRESHOLD.seconds // 60} minutes with a NATS agent, "
        f"not {threshold}: leave it out, and it is that"
    )
