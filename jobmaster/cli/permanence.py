"""What a process of the command line has loaded stays for as long as it runs."""

from __future__ import annotations

import gc

__all__ = ["set_aside"]


def set_aside() -> None:
    """Spare the garbage collector what is here already, modules and classes above all.

    A full collection looks at every object that lives, with the interpreter to itself. While a worker drained
    20,000 jobs each took some sixty milliseconds with all that was imported, and a dozen without. Only for a
    process that belongs to the command line: an application decides this for itself (``gc.freeze``).
    """
    gc.collect()
    gc.freeze()
