"""Reads the parameters and annotations of callables, also those written as text."""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..domain.plaindata import PlainData
from .context import JobContext

__all__ = [
    "Parameter",
    "Unresolved",
    "annotations_at_declaration",
    "context_payload",
    "is_context",
    "parameters_of",
    "resolve",
    "without_none",
]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation in text that names something which cannot be found from its function."""

    text: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that may be injected. ``annotation`` is ``None`` when there is none."""

    name: str
    annotation: object
    has_default: bool
    positional_only: bool


def resolve(annotation: object, function: Callable[..., Any], known: Mapping[str, object]) -> object:
    """What an annotation of ``function`` stands for; ``known`` are texts resolved where it was declared."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    if annotation in known:
        return known[annotation]
    names: dict[str, Any] = {}
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    code, closure = getattr(plain, "__code__", None), getattr(plain, "__closure__", None)
    if code is not None and closure:
        for name, cell in zip(code.co_freevars, closure, strict=True):
            try:
                names[name] = cell.cell_contents
            except ValueError:
                continue  # a cell that was never filled: the name does not exist there
    return _evaluate(annotation, getattr(plain, "__globals__", {}), names)


def _evaluate(text: str, names: Mapping[str, Any], local: Mapping[str, Any]) -> object:
    found: object = text
    for _ in range(2):  # text within text: a quoted annotation in a module that postpones all of them
        if isinstance(found, str):
            try:
                found = eval(found, dict(names), dict(local))
            except Exception:
                return Unresolved(text)
    return found


def parameters_of(
    function: Callable[..., Any], known: Mapping[str, object], *, skip: int = 0
) -> list[Parameter]:
    """The parameters of a function or class constructor that a caller could fill, after the first ``skip``.

    A callable that tells nothing about itself, as some written in C, has none.
    """
    source: Callable[..., Any] = function
    if inspect.isclass(function):
        source = function.__init__
        if source is object.__init__:
            source = function.__new__
            if source is object.__new__:
                return []
        skip += 1
    try:
        parameters = list(inspect.signature(source).parameters.values())
    except ValueError:
        return []
    if not hasattr(inspect.unwrap(source), "__code__"):
        source = source.func if isinstance(source, functools.partial) else type(source).__call__
    found = []
    for parameter in parameters[skip:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        bare = parameter.annotation is parameter.empty
        found.append(
            Parameter(
                parameter.name,
                None if bare else resolve(parameter.annotation, source, known),
                parameter.default is not parameter.empty,
                parameter.kind is parameter.POSITIONAL_ONLY,
            )
        )
    return found


def annotations_at_declaration(*functions: Callable[..., Any] | None, depth: int) -> dict[str, object]:
    """Textual annotations of ``functions`` that need local names of the code declaring them.

    ``depth`` counts the frames from this call to that code. Only what the functions' own modules cannot
    resolve is kept, so that no frame lives on.
    """
    found: dict[str, object] = {}
    frame: types.FrameType | None = sys._getframe(depth)
    while frame is not None and frame.f_code.co_name in ("__init_subclass__", "__new__"):
        frame = frame.f_back
    if frame is None:
        return found
    for function in functions:
        for text in _texts(function):
            module_names = getattr(function, "__globals__", {})
            if isinstance(_evaluate(text, module_names, {}), Unresolved):
                value = _evaluate(text, frame.f_globals, frame.f_locals)
                if not isinstance(value, Unresolved):
                    found[text] = value
    return found


def _texts(function: Callable[..., Any] | None) -> list[str]:
    return [text for text in getattr(function, "__annotations__", {}).values() if isinstance(text, str)]


def without_none(annotation: object) -> object:
    """``X`` for ``X | None`` and for ``Annotated[X, ...]``; anything else unchanged."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return without_none(typing.get_args(annotation)[0])
    if origin is typing.Union or origin is types.UnionType:
        others = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
        if len(others) == 1:
            return without_none(others[0])
    return annotation


def is_context(annotation: object) -> bool:
    """Whether an annotation is ``JobContext`` or ``JobContext[...]``."""
    return annotation is JobContext or typing.get_origin(annotation) is JobContext


_PLAIN = (PlainData, dict, Mapping, typing.Any, builtins.object)


def context_payload(annotation: object) -> object | None:
    """The payload type that ``JobContext[X]`` names; ``None`` for plain data."""
    if typing.get_origin(annotation) is not JobContext:
        return None
    return payload_type(typing.get_args(annotation)[0])


def payload_type(argument: object) -> object | None:
    """A type argument as payload type: ``None`` for plain mappings and for open type variables."""
    if isinstance(argument, typing.TypeVar) or type(argument).__name__ == "TypeVar":
        return None
    origin = typing.get_origin(argument) or argument
    if origin in _PLAIN:
        arguments = typing.get_args(argument)
        if not arguments or arguments[1] in (typing.Any, builtins.object):
            return None
    return argument
