"""How many settles of one process a store is given at once."""

from __future__ import annotations

import asyncio

__all__ = ["Gate"]


class Gate:
    """Lets ``places`` settles of one process into a store at once, ``None`` any number; first come, first
    served. More would only stand in each other's way there, and who waits here gathers more meanwhile."""

    def __init__(self, places: int | None = None) -> None:
        self._places = None if places is None else asyncio.Semaphore(places)

    @property
    def open(self) -> bool:
        """Whether :meth:`enter` would not wait."""
        return self._places is None or not self._places.locked()

    async def enter(self) -> None:
        """Take a place, as soon as there is one."""
        if self._places is not None:
            await self._places.acquire()

    def leave(self) -> None:
        """Give a place back."""
        if self._places is not None:
            self._places.release()
