"""Names of classes and functions as text that another process can import."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["dereference", "is_replaced", "qualified_name", "reference_to"]

_MAIN = "__main__"


def qualified_name(target: object) -> str:
    """``module.qualname`` for people."""
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{getattr(target, '__module__', '?')}.{name}"


def is_replaced(target: object) -> bool:
    """Whether its module holds another object of the same kind under its name: a reload, or a notebook cell
    that was run again, has replaced it."""
    found = _found(getattr(target, "__module__", ""), getattr(target, "__qualname__", ""))
    return (
        found is not target
        and type(found) is type(target)
        and getattr(found, "__module__", None) == getattr(target, "__module__", None)
        and getattr(found, "__qualname__", None) == getattr(target, "__qualname__", None)
    )


def _found(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


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
    if _found(module, name) is not target:
        raise ValueError(f"{module}.{name} is another object now, so this one cannot be imported")
    return f"{module}:{name}"


def dereference(reference: str) -> Any:
    """Import what :func:`reference_to` named. Raises ``ImportError`` or ``AttributeError``."""
    module, _, name = reference.partition(":")
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
