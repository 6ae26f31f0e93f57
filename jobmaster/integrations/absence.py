"""Saying which package to install when a framework is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["requiring"]


@contextmanager
def requiring(package: str) -> Iterator[None]:
    """Turn "No module named ..." within the block into an ``ImportError`` that names the way out.

    A package that is there and lacks one of its own dependencies is reported as it reports itself.
    """
    try:
        yield
    except ModuleNotFoundError as fault:
        if fault.name is None or fault.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"jobmaster.integrations.{package} needs {package}: pip install {package}", name=package
        ) from fault
