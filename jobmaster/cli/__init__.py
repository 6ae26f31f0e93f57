"""The command line: parses, calls the public API, renders. ``jobmaster --help`` lists the commands."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 a fault of what was asked for, 130 interrupted.

    ``arguments`` are those after the program's name; ``None`` takes them from ``sys.argv``. A fault is told
    in one sentence on standard error.
    """
    from .shell import run_command

    return run_command(arguments)
