"""What a handler declares about itself: as written, and as checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..domain.durations import Duration, as_timedelta
from ..domain.names import check_definition_id, check_name
from ..domain.retry import RetryPolicy
from ..domain.status import Priority

if TYPE_CHECKING:
    from ..recurrence import Recurrence

__all__ = [
    "Declaration",
    "Execution",
    "HandlerOptions",
    "ScheduleArgument",
    "check_max_retries",
    "check_priority",
]

Execution: TypeAlias = Literal["auto", "thread", "process"]

ScheduleArgument: TypeAlias = "str | timedelta | Recurrence | Sequence[str | timedelta | Recurrence]"

_EXECUTIONS = ("auto", "thread", "process")
_MOST_RETRIES = 1_000_000
_OWN = ("definition_id", "schedule", "annotations")
_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class HandlerOptions:
    """The checked options of a handler; ``None`` means not given, so that the cluster's default applies."""

    timeout: timedelta | None = None
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    priority: Priority | None = None
    lane: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """The options as written at a class or decorator. Nothing is checked yet: ``build()`` reports all faults
    at once."""

    definition_id: str | None = None
    timeout: Duration | None = None
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    priority: Priority | None = None
    lane: str | None = None
    metadata: Mapping[str, Any] | None = None
    execution: Execution | None = None
    schedule: object = None
    """An expression, or several in a list or tuple."""
    annotations: Mapping[str, object] = field(default_factory=dict)
    """Annotations written as text that only the place of declaration could resolve, by that text."""

    def over(self, base: Declaration) -> Declaration:
        """These options, completed by those of a base class; definition id and schedule are never
        inherited."""
        missing = {
            option.name: getattr(base, option.name)
            for option in fields(self)
            if option.name not in _OWN and getattr(self, option.name) is None
        }
        return replace(self, **missing, annotations={**base.annotations, **self.annotations})

    def check(self, definition_id: str) -> tuple[HandlerOptions, list[str]]:
        """The options that are well formed, and what is wrong with the others."""
        faults: list[str] = []
        if fault := check_definition_id(definition_id):
            faults.append(fault)
        timeout = None
        if self.timeout is not None:
            try:
                timeout = as_timedelta(self.timeout, "timeout", minimum=_SHORTEST, maximum=_LONGEST)
            except (TypeError, ValueError) as error:
                faults.append(str(error))
        if fault := check_max_retries(self.max_retries):
            faults.append(fault)
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            faults.append(f"retry must be made by Retry, for instance Retry.fixed(5), not {self.retry!r}")
        if fault := check_priority(self.priority):
            faults.append(fault)
        if self.lane is not None and (fault := check_name("lane", self.lane)):
            faults.append(fault)
        if self.metadata is not None and not isinstance(self.metadata, Mapping):
            faults.append(f"metadata must be a mapping, not {type(self.metadata).__name__}")
        if self.execution is not None and self.execution not in _EXECUTIONS:
            faults.append(f"execution must be 'auto', 'thread' or 'process', not {self.execution!r}")
        if faults:
            return HandlerOptions(), faults
        priority = None if self.priority is None else Priority(self.priority)
        options = HandlerOptions(timeout, self.max_retries, self.retry, priority, self.lane, self.metadata)
        return options, faults


def check_max_retries(value: object) -> str | None:
    """The fault of a ``max_retries`` option, or ``None``."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_RETRIES:
        return f"max_retries must be an integer between 0 and {_MOST_RETRIES}, not {value!r}"
    return None


def check_priority(value: object) -> str | None:
    """The fault of a ``priority`` option, or ``None``."""
    if value is None or isinstance(value, Priority):
        return None
    known = ", ".join(f"Priority.{priority.name}" for priority in Priority)
    if isinstance(value, int) and not isinstance(value, bool) and value in list(Priority):
        return None
    return f"priority must be one of {known}, not {value!r}"
