"""Shows a demonstration while it runs: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ...domain.status import JobStatus
from ..rendering import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .scenario import Run, Watcher

__all__ = ["Display"]

_LIVE_EVERY = 0.1
_LINE_EVERY = 1.0


class Display:
    """Follows the counts of a watcher until cancelled."""

    def __init__(self) -> None:
        self._console = console()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line above whatever is live."""
        self._console.print(text, markup=False)

    def show(self, what: RenderableType) -> None:
        """Print a table or text."""
        self._console.print(what)

    async def follow(self, watcher: Watcher, run: Run) -> None:
        """Keep the display up to date; leaves a last state behind when cancelled."""
        if self._console.is_terminal:
            await self._live(watcher, run)
        else:
            await self._lines(watcher, run)

    async def _live(self, watcher: Watcher, run: Run) -> None:
        from rich.live import Live

        with Live(self._picture(watcher, run), console=self._console, auto_refresh=False) as live:
            try:
                while True:
                    await asyncio.sleep(_LIVE_EVERY)
                    live.update(self._picture(watcher, run), refresh=True)
            finally:
                live.update(self._picture(watcher, run), refresh=True)

    async def _lines(self, watcher: Watcher, run: Run) -> None:
        try:
            while True:
                await asyncio.sleep(_LINE_EVERY)
                self.say(self._counts(watcher, run))
        finally:
            self.say(self._counts(watcher, run))

    def _counts(self, watcher: Watcher, run: Run) -> str:
        total = len(run.files) + len(run.special) + run.leftovers
        rate = watcher.ended / max(0.001, time.monotonic() - self._began)
        parts = [f"{watcher.ended}/{total} jobs ended", f"{watcher.finished[JobStatus.SUCCEEDED]} succeeded"]
        if failed := watcher.finished[JobStatus.FAILED]:
            parts.append(f"{failed} failed")
        if cancelled := watcher.finished[JobStatus.CANCELLED]:
            parts.append(f"{cancelled} cancelled")
        if watcher.retries:
            parts.append(f"{watcher.retries} retried")
        if watcher.rescued:
            parts.append(f"{watcher.rescued} rescued")
        return f"{', '.join(parts)}, {rate:,.0f} jobs/s"

    def _picture(self, watcher: Watcher, run: Run) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        total = max(1, len(run.files) + len(run.special) + run.leftovers)
        grid = Table.grid()
        grid.add_row(ProgressBar(total=total, completed=watcher.ended, width=60))
        grid.add_row(Text(self._counts(watcher, run)))
        grid.add_row(Text(watcher.last, style="dim", no_wrap=True, overflow="ellipsis"))
        return grid
