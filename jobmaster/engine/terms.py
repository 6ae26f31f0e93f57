"""What applies to a job after call, handler and cluster were asked: its timeout and its retries."""

from __future__ import annotations

from typing import NamedTuple

from ..domain.job import ClaimedJob
from ..domain.retry import RetryPolicy
from ..domain.verdict import RetryRules
from ..handlers import BoundHandler
from .options import ClusterLimits

__all__ = ["Terms", "TermsBook"]


class Terms(NamedTuple):
    """The terms of one run; ``timeout`` in seconds."""

    rules: RetryRules
    timeout: float


class TermsBook:
    """Looks terms up. Those of jobs without options of their own are kept per definition id, for as long as
    the cluster's defaults stay as they are."""

    def __init__(self, limits: ClusterLimits) -> None:
        self._limits = limits
        self._defaults: tuple[object, ...] = ()
        self._known: dict[str, Terms] = {}

    def of(self, job: ClaimedJob, bound: BoundHandler) -> Terms:
        """The terms of this job with this handler."""
        if job.max_retries is not None or job.retry is not None or job.timeout_ms is not None:
            return self._terms(job, bound)
        limits = self._limits
        defaults = (limits.default_max_retries, limits.default_retry, limits.default_timeout)
        if defaults != self._defaults:
            self._defaults, self._known = defaults, {}
        terms = self._known.get(job.definition_id)
        if terms is None:
            terms = self._known[job.definition_id] = self._terms(job, bound)
        return terms

    def _terms(self, job: ClaimedJob, bound: BoundHandler) -> Terms:
        options, limits = bound.options, self._limits
        most = job.max_retries if job.max_retries is not None else options.max_retries
        if most is None:
            most = limits.default_max_retries
        if job.retry is not None:
            policy = RetryPolicy.from_spec(job.retry)
        else:
            policy = options.retry or limits.default_retry
        if job.timeout_ms is not None:
            timeout = job.timeout_ms / 1000
        else:
            timeout = (options.timeout or limits.default_timeout).total_seconds()
        return Terms(RetryRules(most, policy), timeout)
