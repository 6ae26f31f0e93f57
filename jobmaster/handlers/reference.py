"""Names of classes and functions as text that another process can import."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["dereference", "qualified_name", "reference_to"]

_MAIN = "__main__"


def qualified_name(target: object) -> str:
    """``module.qualname`` for people."""
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{getattr(target, '__module__', '?')}.{name}"


def reference_to(target: object) -> str:
    """``module:qualname`` of a class or function at module level.

    Raises ``ValueError`` saying why another process could not import it.
    """
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError(f"{target!r} is an object, not a class or function that can be imported")
    if "<" in name:
        raise ValueError(f"{module}.{name} is defined inside a function, so it cannot be imported")
    main = sys.modules.get(module)
    if module == _MAIN and not (getattr(main, "__file__", None) or getattr(main, "__spec__", None)):
        raise ValueError(f"{name} is defined in an interactive session, so it cannot be imported")
    found: Any = main
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not target:
        raise ValueError(f"{module}.{name} is another object now, so this one cannot be imported")
    return f"{module}:{name}"


def dereference(reference: str) -> Any:
    """Import what :func:`reference_to` named. Raises ``ImportError`` or ``AttributeError``."""
    module, _, name = reference.partition(":")
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
