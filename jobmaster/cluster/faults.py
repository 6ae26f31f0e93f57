"""What may be wrong with the options of a step, each as one sentence or ``None``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from ..domain.names import check_prefix, check_schema
from ..domain.status import Priority
from ..errors import ConfigurationError
from .settings import STANDALONE

__all__ = [
    "agent_fault",
    "count_fault",
    "database_faults",
    "enum_fault",
    "read_database_url",
    "worker_faults",
]

_TITLES = {"mssql": "SQL Server"}


def count_fault(name: str, value: object, least: int, most: int) -> str | None:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return f"{name} must be a whole number from {least} to {most}, not {value!r}"
    return None


def enum_fault(name: str, kind: type[Enum], value: object) -> str | None:
    """A member of an enumeration, or its value."""
    try:
        kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        return f"{name} must be one of {known}, not {value!r}"
    return None


def worker_faults(
    batch_size: object, factor: object, quantity: object, concurrency: object
) -> list[str | None]:
    """The options of a worker that have bounds."""
    return [
        count_fault("batch_size", batch_size, 1, 100_000),
        None if concurrency is None else count_fault("concurrency", concurrency, 1, 100_000),
        _factor_fault(factor),
        *_quantity_faults(quantity),
    ]


def agent_fault(asked: object, agents: Sequence[str]) -> str | None:
    """The agent connection of a worker."""
    if not agents:
        if asked in (None, STANDALONE):
            return None
        return (
            f"there is no agent connection {asked!r}: that of a standalone cluster is {STANDALONE!r} and "
            "need not be named"
        )
    known = ", ".join(map(repr, agents))
    if asked is None:
        return None if len(agents) == 1 else f"agent_connection must say which agent it works for: {known}"
    return None if asked in agents else f"there is no agent connection {asked!r}; there is {known}"


def _factor_fault(value: object) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value <= 1000:  # type: ignore[arg-type, operator]
        return f"parallelism_factor must be a number above 0, at most 1000, not {value!r}"
    return None


def _quantity_faults(value: object) -> list[str | None]:
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return [f"bucket_quantity must map priorities to numbers, not {value!r}"]
    return [
        fault
        for priority, count in value.items()
        for fault in (
            None
            if isinstance(priority, int) and priority in list(Priority)
            else f"bucket_quantity: {priority!r} is no Priority",
            count_fault(f"bucket_quantity of {priority!r}", count, 1, 100),
        )
    ]


def database_faults(options: Mapping[str, Any]) -> list[str]:
    """The options of a database, besides its URL."""
    faults: list[str | None] = []
    for name, value in options.items():
        if name == "table_prefix":
            faults.append(check_prefix(value))
        elif name == "schema":
            faults.append(check_schema(value))
        elif name == "pool_size":
            faults.append(count_fault("pool_size", value, 1, 1000))
        elif name == "connect_args" and not isinstance(value, Mapping):
            faults.append(f"connect_args must be a mapping, not {type(value).__name__}")
        elif name in ("pgbouncer", "auto_provision") and not isinstance(value, bool):
            faults.append(f"{name} must be True or False, not {value!r}")
        elif name == "driver" and (not isinstance(value, str) or not value):
            faults.append(f"driver must be the name of an ODBC driver, not {value!r}")
    return [fault for fault in faults if fault]


def read_database_url(step: str, kind: str | None, given: object) -> tuple[str, str, list[str]]:
    """The URL of a database, with a relative SQLite path made absolute now, and its kind; it must be of
    ``kind`` where that is given."""
    from ..sql.urls import parse_url

    if not isinstance(given, str | os.PathLike):
        return "", "", [f"{step} takes a URL as text, not {type(given).__name__}"]
    text = os.fspath(given)
    if not isinstance(text, str) or not text:
        return "", "", [f"{step} takes a URL as text, not {text!r}"]
    if kind not in ("sqlite", None) and "://" not in text:
        return "", "", [f"{step} takes a URL such as {kind}://user:password@host/database"]
    try:
        found = parse_url(text)
    except ConfigurationError as fault:
        return "", "", [f"{step}: {problem}" for problem in fault.problems]
    if kind is not None and found.kind != kind:
        shown = _TITLES.get(found.kind, found.kind)
        return "", "", [f"{step} was given the URL of a {shown} database"]
    return found.url.render_as_string(hide_password=False), found.kind, []
