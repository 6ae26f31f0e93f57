"""What a caller is told when a store does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreError, TransportUnavailable

__all__ = ["answering"]


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Raise ``TransportUnavailable`` for a fault of a store; ``what`` begins its sentence.

    >>> with answering("the settings cannot be read"):
    ...     raise TransientStoreError("connection lost")
    Traceback (most recent call last):
    jobmaster.errors.TransportUnavailable: the settings cannot be read: connection lost
    """
    try:
        yield
    except StoreError as fault:
        raise TransportUnavailable(f"{what}: {fault}") from fault
