"""How the interpreter is set in a process that belongs to the command line.

Only there: all of this is about the whole process, so an application decides it for itself (``gc.freeze``,
``gc.set_threshold``, ``sys.setswitchinterval``).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable

__all__ = ["set_aside", "take_turns"]

_YOUNG = 20_000
"""New objects after which the collector looks at them. A worker has some ten thousand in hand at any time,
for the jobs that it holds: looked at every 700 (the default), each is seen several times before it goes."""
_TURN = 0.0001
"""Seconds after which a thread that waits for the interpreter is given it."""


def set_aside() -> None:
    """Spare the garbage collector what is here already, modules and classes above all.

    A full collection looks at every object that lives, with the interpreter to itself. While a worker drained
    20,000 jobs each took some sixty milliseconds with all that was imported, and a dozen without.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if 0 < young < _YOUNG:
        gc.set_threshold(_YOUNG, *older)


def take_turns(kinds: Iterable[str]) -> None:
    """Have threads change more often where one of the stores that workers serve is SQLite.

    SQLite does its work in this process, beside the event loop: between two statements its thread needs the
    interpreter for some microseconds, for which it would wait 5 ms at a time, the default. Threads that do
    nothing but compute lose a tenth by it.
    """
    if "sqlite" in kinds:
        sys.setswitchinterval(min(_TURN, sys.getswitchinterval()))
