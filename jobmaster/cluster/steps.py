"""The steps that set one value each."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from ..domain.durations import Duration, as_timedelta
from ..domain.retry import RetryPolicy
from ..domain.status import ClusterMode
from .faults import count_fault, enum_fault

__all__ = ["SettingSteps"]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_TINY = timedelta(milliseconds=1)


class SettingSteps:
    """The part of ``ClusterConfig`` that collects settings and what is wrong with them, by name."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def transient_threshold(self, ahead: Duration) -> Self:
        """How long before they are due jobs go to the agent: 10 s to 24 h, 10 min by default. With
        a NATS agent at most 2 min, which is the default then."""
        return self._duration("transient_threshold", ahead, timedelta(seconds=10), _DAY)

    def default_job_timeout(self, timeout: Duration) -> Self:
        """How long a run may take when neither call nor handler says so: 5 min by default."""
        return self._duration("default_job_timeout", timeout, _TINY, timedelta(days=366))

    def default_max_retries(self, retries: int) -> Self:
        """How many failures are retried when neither call nor handler says so: 3 by default."""
        return self._count("default_max_retries", retries, 0, 10_000)

    def default_retry(self, policy: RetryPolicy) -> Self:
        """The retry policy when neither call nor handler has one: exponential, 10 s to 10 min, by default."""
        if not isinstance(policy, RetryPolicy):
            fault = f"default_retry must be made by Retry, for instance Retry.fixed(5), not {policy!r}"
            return self._fail("default_retry", fault)
        return self._set("default_retry", policy)

    def cluster_mode(self, mode: ClusterMode | str) -> Self:
        """Active, passive (accept, do not run) or archived (read-only)."""
        if fault := enum_fault("cluster_mode", ClusterMode, mode):
            return self._fail("cluster_mode", fault)
        return self._set("cluster_mode", ClusterMode(mode))

    def max_message_bytes(self, limit: int | None) -> Self:
        """Most bytes of data and metadata, and of a result: 128 KiB by default, ``None`` for no limit."""
        if limit is None:
            return self._set("max_message_bytes", None)
        return self._count("max_message_bytes", limit, 1, 2**40)

    def time_zone(self, name: str) -> Self:
        """The IANA zone of schedules that name none: ``UTC`` by default."""
        try:
            ZoneInfo(name)
        except (TypeError, ValueError, OSError, LookupError):
            return self._fail(
                "time_zone", f"time_zone {name!r} is not known: use an IANA name such as 'Europe/Berlin'"
            )
        return self._set("time_zone", name)

    def data_retention(self, keep: Duration | None) -> Self:
        """How long finished jobs, their attempts and logs are kept: 30 days by default, ``None`` for ever."""
        if keep is None:
            return self._set("data_retention", None)
        return self._duration("data_retention", keep, timedelta(seconds=1), timedelta(days=36500))

    def lease(self, lease: Duration) -> Self:
        """How long a worker holds its jobs without a sign of life: 1 s to 1 h, 15 s by default."""
        return self._duration("lease", lease, timedelta(seconds=1), _HOUR)

    def grace_period(self, grace: Duration) -> Self:
        """How long a clean stop waits for running handlers: 0 to 1 h, 25 s by default."""
        return self._duration("grace_period", grace, timedelta(0), _HOUR)

    def operation_timeout(self, timeout: Duration) -> Self:
        """How long an enqueue retries passing faults before ``TransportUnavailable``: 10 s by default."""
        return self._duration("operation_timeout", timeout, timedelta(milliseconds=100), _HOUR)

    def startup_timeout(self, timeout: Duration) -> Self:
        """How long a start waits for its databases: 30 s by default."""
        return self._duration("startup_timeout", timeout, timedelta(0), _HOUR)

    def max_losses(self, losses: int) -> Self:
        """How often a job may lose its worker before it fails as ``lost``: 5 by default."""
        return self._count("max_losses", losses, 0, 1000)

    def debug_jsonl_file_logger(self, directory: str | os.PathLike[str]) -> Self:
        """Write the engine's log into this directory, as JSON lines in files that rotate."""
        if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
            fault = f"debug_jsonl_file_logger takes a directory, not {directory!r}"
            return self._fail("debug_jsonl_directory", fault)
        return self._set("debug_jsonl_directory", Path(directory))

    # -- inside ----------------------------------------------------------------------------------------

    def _set(self, name: str, value: object) -> Self:
        self._problems.pop(name, None)
        self._values[name] = value
        return self

    def _fail(self, name: str, fault: str) -> Self:
        self._problems[name] = fault
        return self

    def _check(self, name: str, fault: str | None) -> bool:
        self._problems.pop(name, None)
        if fault:
            self._problems[name] = fault
        return fault is None

    def _duration(self, name: str, value: object, least: timedelta, most: timedelta) -> Self:
        try:
            return self._set(name, as_timedelta(value, name, minimum=least, maximum=most))
        except (TypeError, ValueError) as fault:
            return self._fail(name, str(fault))

    def _count(self, name: str, value: object, least: int, most: int) -> Self:
        fault = count_fault(name, value, least, most)
        return self._fail(name, fault) if fault else self._set(name, value)
