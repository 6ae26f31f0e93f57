"""What a handler raises to say how its run shall end, other than by failing."""

from __future__ import annotations

from datetime import timedelta

from ..domain.durations import Duration, as_timedelta, describe_duration

__all__ = ["CancelJob", "ControlFlow", "FailJob", "JobCancelled", "RetryLater", "Snooze"]

_LONGEST = timedelta(days=3660)


class ControlFlow(Exception):
    """Base of the exceptions that steer a job. They are no errors of jobmaster."""


class RetryLater(ControlFlow):
    """Run the job again after ``delay`` (``timedelta`` or seconds); counts as a failure.

    The retry policy is not asked. Once ``max_retries`` is used up the job fails.

    >>> raise RetryLater(timedelta(minutes=5), "the API asked for patience")  # doctest: +SKIP

    Raises ``ValueError`` or ``TypeError`` for a delay that is none.
    """

    def __init__(self, delay: Duration, reason: str = "") -> None:
        self.delay = as_timedelta(delay, "the delay of RetryLater", maximum=_LONGEST)
        self.reason = reason
        super().__init__(reason or f"to be run again in {describe_duration(self.delay)}")


class Snooze(ControlFlow):
    """Run the job again after ``delay`` (``timedelta`` or seconds); not a failure, and no limit counts it.

    >>> raise Snooze(30)  # doctest: +SKIP

    Raises ``ValueError`` or ``TypeError`` for a delay that is none.
    """

    def __init__(self, delay: Duration) -> None:
        self.delay = as_timedelta(delay, "the delay of Snooze", maximum=_LONGEST)
        super().__init__(f"snoozed for {describe_duration(self.delay)}")


class CancelJob(ControlFlow):
    """End the job as cancelled.

    >>> raise CancelJob("the order was withdrawn")  # doctest: +SKIP
    """

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason or "cancelled by its handler")


class JobCancelled(CancelJob):
    """Raised by :meth:`JobContext.check_cancelled` when the run was asked to stop; let it through.

    ``reason`` is ``cancelled``, ``timeout``, ``interrupted`` (the worker stops) or ``lost`` (the worker lost
    its claim). What becomes of the job follows from the reason, not from this exception.
    """


class FailJob(ControlFlow):
    """End the job as failed, with no more retries.

    >>> raise FailJob("no such customer")  # doctest: +SKIP
    """

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason or "failed by its handler")
