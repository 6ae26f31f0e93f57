"""The actors of a benchmark, as their parent sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ..refusal import Refusal

__all__ = ["Cast", "Player"]


class Player:
    """One actor process. The URL travels through its input, so that no list of processes shows a password."""

    def __init__(self, url: str, table_prefix: str, master: str | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobmaster.cli.bench.actor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._send([url, table_prefix, master])

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Let it do something and wait for the answer."""
        self.begin(do, **arguments)
        return self.answer()

    def begin(self, do: str, **arguments: object) -> None:
        """Let it do something; :meth:`answer` must follow."""
        self._send({"do": do, **arguments})

    def answer(self) -> dict[str, Any]:
        """Wait for what came of it. Raises :class:`Refusal` when it failed."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Refusal(f"a process of the benchmark ended early, exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        if "fault" in found:
            raise Refusal(f"a process of the benchmark failed: {found['fault']}")
        return found

    def end(self) -> None:
        """End the process, at once."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            # what was still to be sent has no reader any more
            return

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Refusal(
                f"a process of the benchmark ended early, exit code {self._process.wait()}"
            ) from None


class Cast:
    """Starts players and ends them all."""

    def __init__(self, url: str, table_prefix: str, master: str | None = None) -> None:
        self._url = url
        self._table_prefix = table_prefix
        self._master = master
        self._players: list[Player] = []

    def __enter__(self) -> Cast:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss(tuple(self._players))

    def player(self) -> Player:
        """A new process."""
        player = Player(self._url, self._table_prefix, self._master)
        self._players.append(player)
        return player

    def dismiss(self, players: Sequence[Player]) -> None:
        """End these processes."""
        for player in players:
            player.end()
            self._players.remove(player)
