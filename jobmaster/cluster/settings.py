"""The settings of a cluster as ``build()`` fixes them: frozen values, whose text never shows a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.job import DEFAULT_LANE
from ..domain.retry import DEFAULT_RETRY, RetryPolicy
from ..domain.status import ClusterMode, Priority, WorkerMode
from ..engine.options import ClusterLimits

if TYPE_CHECKING:
    from .staticschedules import StaticProfile

__all__ = [
    "STANDALONE",
    "ClusterSettings",
    "DatabaseSettings",
    "WorkerSettings",
    "limits_of",
    "without_password",
]

STANDALONE = "standalone"
"""The name of the agent connection of a standalone cluster."""

_USER_PART = re.compile(r"(?<=://)([^/@:?#]*):[^/]*@")
_SECRET_PARAMETER = re.compile(r"(?i)([?&;](?:password|pwd|passfile|sslpassword|token|odbc_connect)=)[^&;]*")


_NATS_SCHEME = re.compile(r"\s*(?:(?:nats|tls|wss?)://)?", re.IGNORECASE)


def without_password(url: str) -> str:
    """A URL with ``***`` for its secrets."""
    if _NATS_SCHEME.match(url)[0].strip():  # type: ignore[index]
        return ",".join(map(_without_login, url.split(",")))
    return _SECRET_PARAMETER.sub(r"\1***", _USER_PART.sub(r"\1:***@", url))


def _without_login(server: str) -> str:
    scheme = _NATS_SCHEME.match(server)[0]  # type: ignore[index]
    _, at, place = server[len(scheme) :].rpartition("@")
    return f"{scheme}***@{place}" if at else server


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseSettings:
    """One database, or a NATS agent. ``kind`` is ``sqlite``, ``postgresql``, ``mysql``, ``mssql`` or
    ``nats``; its driver gets ``connect_args``."""

    url: str
    kind: str
    table_prefix: str = "jm_"
    schema: str | None = None
    pool_size: int = 10
    """Most connections at a time."""
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    pgbouncer: bool = False
    driver: str | None = None
    """The ODBC driver by name; SQL Server only."""
    auto_provision: bool = True
    """Whether a start creates and migrates the tables, or only checks them."""
    replicas: int | None = None
    """Copies of each message; NATS only."""
    max_bytes: int | None = None
    """Most bytes of jobs on the agent; NATS only."""

    def __repr__(self) -> str:
        shown = {
            "url": without_password(self.url),
            "kind": self.kind,
            "table_prefix": self.table_prefix,
            "schema": self.schema,
            "pool_size": self.pool_size,
            "connect_args": dict.fromkeys(self.connect_args, "***"),
            "pgbouncer": self.pgbouncer,
            "driver": self.driver,
            "auto_provision": self.auto_provision,
        }
        if self.kind == "nats":
            shown |= {"replicas": self.replicas, "max_bytes": self.max_bytes}
        return f"DatabaseSettings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker of this process."""

    name: str
    agent_connection: str = STANDALONE
    """The name of an agent connection."""
    lane: str = DEFAULT_LANE
    mode: WorkerMode = WorkerMode.FULL
    batch_size: int = 250
    parallelism_factor: float = 1.0
    bucket_quantity: Mapping[Priority, int] = field(default_factory=dict)
    """How many buckets per priority, where it is not one."""
    concurrency: int | None = None
    """Run slots in all; ``None``: 2, 3, 4, 5, 6 per priority times ``parallelism_factor``."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Everything that a cluster is built from, besides code. Fields are named after the steps."""

    cluster_id: str
    database: DatabaseSettings
    """The master, or the only database of a standalone cluster."""
    agents: Mapping[str, DatabaseSettings] = field(default_factory=dict)
    """The agent connections by name; none in a standalone cluster."""
    workers: tuple[WorkerSettings, ...] = ()
    transient_threshold: timedelta = timedelta(minutes=10)
    default_job_timeout: timedelta = timedelta(minutes=5)
    default_max_retries: int = 3
    default_retry: RetryPolicy = DEFAULT_RETRY
    cluster_mode: ClusterMode = ClusterMode.ACTIVE
    max_message_bytes: int | None = 128 * 1024
    time_zone: str = "UTC"
    data_retention: timedelta | None = timedelta(days=30)
    lease: timedelta = timedelta(seconds=15)
    grace_period: timedelta = timedelta(seconds=25)
    operation_timeout: timedelta = timedelta(seconds=10)
    startup_timeout: timedelta = timedelta(seconds=30)
    max_losses: int = 5
    debug_jsonl_directory: Path | None = None
    static: tuple[StaticProfile, ...] = field(default=(), compare=False, repr=False)
    """The schedules declared in code, checked."""
    declared: frozenset[str] = frozenset()
    """Names of the steps that code, TOML or the environment gave: they win over stored values."""


def limits_of(settings: ClusterSettings) -> ClusterLimits:
    """What may change while the cluster runs, as it is configured."""
    return ClusterLimits(
        settings.cluster_mode,
        settings.default_job_timeout,
        settings.default_max_retries,
        settings.default_retry,
        settings.max_losses,
        settings.data_retention,
        settings.max_message_bytes,
    )
