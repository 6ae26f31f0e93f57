"""Handlers: how users write them, and how one run of one of them is carried out."""

from .bound import BoundHandler, Kind, Wiring
from .codec import Codecs, PayloadCodec
from .context import JobContext
from .control import CancelJob, ControlFlow, FailJob, JobCancelled, RetryLater, Snooze
from .function import JobFunction, job
from .handler import JobHandler
from .middleware import CallNext, Middleware
from .options import Execution, HandlerOptions
from .registry import HandlerRegistry
from .remote import RemoteHandlerError
from .run import CancelReason, Run
from .services import Service, ServiceScope
from .site import RunChildren, RunThreads, SiteClock, ThreadCall, WorkerSite

__all__ = [
    "BoundHandler",
    "CallNext",
    "CancelJob",
    "CancelReason",
    "Codecs",
    "ControlFlow",
    "Execution",
    "FailJob",
    "HandlerOptions",
    "HandlerRegistry",
    "JobCancelled",
    "JobContext",
    "JobFunction",
    "JobHandler",
    "Kind",
    "Middleware",
    "PayloadCodec",
    "RemoteHandlerError",
    "RetryLater",
    "Run",
    "RunChildren",
    "RunThreads",
    "Service",
    "ServiceScope",
    "SiteClock",
    "Snooze",
    "ThreadCall",
    "Wiring",
    "WorkerSite",
    "job",
]
