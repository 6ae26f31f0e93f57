"""Tools for testing with jobmaster, and for testing stores written for it.

``MemoryCluster`` runs the real engine in memory on a clock that the test moves; ``run_inline`` runs one
handler directly; ``FakeClock`` is that clock; ``conformance`` holds the suites that every store must pass.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import FakeClock
    from .cluster import MemoryCluster
    from .inline import InlineRun, run_inline

_HOME = {
    "FakeClock": "clock",
    "InlineRun": "inline",
    "MemoryCluster": "cluster",
    "run_inline": "inline",
}

__all__ = ["FakeClock", "InlineRun", "MemoryCluster", "run_inline"]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'jobmaster.testing' has no attribute {name!r}")
    return getattr(import_module(f"jobmaster.testing.{module}"), name)
