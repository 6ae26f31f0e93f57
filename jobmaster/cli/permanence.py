"""What a process of the command line has loaded stays for as long as it runs."""

from __future__ import annotations

import gc

__all__ = ["set_aside"]

_YOUNG = 20_000
"""New objects after which the collector looks at them. A worker has some ten thousand in hand at any time,
for the jobs that it holds: looked at every 700 (the default), each is seen several times before it goes."""


def set_aside() -> None:
    """Spare the garbage collector what is here already, modules and classes above all.

    A full collection looks at every object that lives, with the interpreter to itself. While a worker drained
    20,000 jobs each took some sixty milliseconds with all that was imported, and a dozen without. Only for a
    process that belongs to the command line: an application decides this for itself (``gc.freeze``,
    ``gc.set_threshold``).
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if 0 < young < _YOUNG:
        gc.set_threshold(_YOUNG, *older)
