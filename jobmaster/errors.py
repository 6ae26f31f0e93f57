"""The errors of jobmaster, one tree.

::

    JobMasterError
    ├── ConfigurationError            (ValueError)   a cluster that cannot be built or started
    ├── InvalidJob                    (ValueError)   a job that cannot be enqueued as given
    │   ├── MessageTooLarge
    │   └── SerializationError                       data or result that JSON cannot carry
    ├── RecurrenceSyntaxError         (ValueError)   a schedule expression that cannot be read
    ├── UnknownHandler                (LookupError)  a handler class or function that is not registered
    ├── JobNotFound                   (LookupError)
    ├── ScheduleNotFound              (LookupError)
    ├── IllegalTransition             a change that the job's status does not allow
    ├── DuplicateJob                  a live job holds the unique key already
    ├── ClusterArchived               the cluster is read-only
    ├── TransportUnavailable          no store accepted the job in time
    └── StoreError                    a database refused or failed
        ├── TransientStoreError       may work when tried again (deadlock, lost connection)
        └── ConflictError             somebody else changed the row first

A bad argument raises before anything is written. This module imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID


class JobMasterError(Exception):
    """Base of every error that jobmaster raises."""


class ConfigurationError(JobMasterError, ValueError):
    """A cluster cannot be built or started as configured.

    ``problems`` lists every fault found, one sentence each; the text of the error joins them.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        if len(problems) == 1:
            text = problems[0]
        else:
            text = f"{len(problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(text)


class InvalidJob(JobMasterError, ValueError):
    """A job cannot be enqueued as given: a wrong option, or data that does not fit its handler."""


class MessageTooLarge(InvalidJob):
    """Data and metadata (or a result) are larger than ``max_message_bytes``."""


class SerializationError(InvalidJob):
    """A value that the JSON payload format cannot carry unchanged."""


class Problem:
    """One fault in a recurrence expression: where it stands and what was expected there.

    ``start`` and ``end`` count code points of the text from 0. ``expected`` holds words or a range such as
    ``0-59``; ``suggestion`` is what the writer probably meant. ``code`` is stable, ``message`` is not.
    """

    __slots__ = ("code", "end", "expected", "message", "start", "suggestion")

    def __init__(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        expected: Sequence[str] = (),
        suggestion: str | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.expected = tuple(expected)
        self.suggestion = suggestion

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.code, self.message, self.start, self.end))

    def __repr__(self) -> str:
        return f"Problem({self.code!r}, {self.message!r}, {self.start}, {self.end})"

    def __str__(self) -> str:
        """The message, with the suggestion as a question."""
        return self.message if self.suggestion is None else f"{self.message}; did you mean {self.suggestion}?"


class RecurrenceSyntaxError(JobMasterError, ValueError):
    """A schedule expression cannot be read; ``problems`` holds every fault, ordered by position.

    ``column`` (from 1), ``expected`` and ``suggestion`` are those of the first. ``method`` names the call
    of the fluent builder that gave the text, if one did; the message then names it instead of a column.
    """

    SHOWN = 80

    def __init__(self, text: str, problems: Iterable[Problem], method: str | None = None) -> None:
        self.text = text
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=lambda problem: problem.start))
        self.method = method
        first = self.problems[0]
        self.column = first.start + 1
        self.expected = first.expected
        self.suggestion = first.suggestion
        super().__init__(text, self.problems, method)

    def __str__(self) -> str:
        """The text around the first fault, a caret below the fault, and what is wrong there."""
        first = self.problems[0]
        left = max(0, min(first.start - self.SHOWN // 2, len(self.text) - self.SHOWN))
        shown = "".join(
            character if character.isprintable() else " " for character in self.text[left : left + self.SHOWN]
        )
        place = f"column {self.column}" if self.method is None else self.method
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{shown}\n{' ' * (first.start - left)}^\n{place}: {first}{more}"


class UnknownHandler(JobMasterError, LookupError):
    """A handler class or function is not registered with this cluster."""


class JobNotFound(JobMasterError, LookupError):
    """No job has this id (any more)."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"no job {job_id}: it never existed here, or its history was cleaned up")


class ScheduleNotFound(JobMasterError, LookupError):
    """No schedule has this id."""


class IllegalTransition(JobMasterError):
    """The job's status does not allow this change."""


class DuplicateJob(JobMasterError):
    """A live job holds the unique key; ``job_id`` names it."""

    def __init__(self, unique_key: str, job_id: UUID) -> None:
        self.unique_key = unique_key
        self.job_id = job_id
        super().__init__(f"unique key {unique_key!r} is held by the live job {job_id}")


class ClusterArchived(JobMasterError):
    """The cluster is archived: it can be read, not changed."""


class TransportUnavailable(JobMasterError):
    """No store accepted the jobs in time; ``job_ids`` names those whose fate is unknown.

    A job named here may still have been stored if the connection broke during its commit. Enqueueing the
    same work again with a ``unique_key`` is safe. ``accepted`` names jobs of the same call that are stored.
    """

    def __init__(self, message: str, job_ids: Iterable[UUID] = (), accepted: Iterable[UUID] = ()) -> None:
        self.job_ids = tuple(job_ids)
        self.accepted = tuple(accepted)
        super().__init__(message)


class StoreError(JobMasterError):
    """A database refused a statement or failed."""


class TransientStoreError(StoreError):
    """A fault that may pass: a deadlock, a lock timeout, a lost connection, a full disk.

    ``ambiguous`` is true when the connection broke while a COMMIT was under way, so that nobody can tell
    whether it took effect.
    """

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class ConflictError(StoreError):
    """Somebody else changed the row first (optimistic version check, unique key)."""
