"""Typed payloads: pydantic models, dataclasses and typed dictionaries. The only file that knows pydantic."""

from __future__ import annotations

import sys
import typing
from collections.abc import Sequence
from typing import Any, get_type_hints

import typing_extensions
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from ..errors import InvalidJob, SerializationError
from .jsontext import write
from .plain import non_finite, plain

__all__ = ["TypedCodec"]

_MOST_SHOWN = 20


class _Example(typing.TypedDict):
    """Any typed dictionary of the standard library, to know their kind by."""

    field: int


_StandardTypedDict = type(_Example)


class TypedCodec:
    """The codec of one payload type; see ``handlers.PayloadCodec``.

    Raises ``TypeError`` for a type that pydantic cannot read and write.
    """

    eager = True

    def __init__(self, payload_type: Any) -> None:
        self._name = getattr(payload_type, "__name__", None) or str(payload_type)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(_readable(payload_type))
            # forward references that cannot be resolved are told now, not when the first job comes
            self._adapter.rebuild(raise_errors=True)
        except (
            PydanticUserError,
            PydanticSchemaGenerationError,
            PydanticUndefinedAnnotation,
            TypeError,
            NameError,
        ) as fault:
            first = str(fault).splitlines()[0]
            raise TypeError(f"{self._name} cannot be a payload type: {first}") from None

    def encode(self, data: object) -> str:
        """JSON text of an instance, or of a mapping that validates; it is read back once, so that what the
        handler will get is known to be valid."""
        try:
            value = self._adapter.validate_python(data)
        except ValidationError as error:
            raise InvalidJob(f"data does not fit {self._name}: {_faults(error)}") from None
        try:
            dumped = self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error")
        except ValueError as fault:
            raise SerializationError(f"data: {self._name} cannot be written as JSON: {fault}") from None
        if not isinstance(dumped, dict):
            raise InvalidJob(
                f"data: {self._name} is written as {type(dumped).__name__}; job data must be a mapping"
            )
        text = write(plain(dumped, "data"))
        if "null" in text and (place := non_finite(self._adapter.dump_python(value), "data")):
            raise SerializationError(f"{place}: NaN and infinity have no JSON form")
        try:
            self._adapter.validate_json(text)
        except ValidationError as error:
            raise InvalidJob(f"data does not fit {self._name} once written: {_faults(error)}") from None
        return text

    def encode_plain(self, datas: Sequence[object]) -> None:
        """Never: each is validated."""

    def decode(self, text: str) -> Any:
        """The validated instance."""
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise InvalidJob(f"the stored data does not fit {self._name}: {_faults(error)}") from None


def _readable(payload_type: Any) -> Any:
    """The type as pydantic reads it: before Python 3.12 it takes typed dictionaries of ``typing_extensions``
    only, so that those of ``typing`` are made again as such, with those that they hold directly."""
    if sys.version_info >= (3, 12) or type(payload_type) is not _StandardTypedDict:
        return payload_type
    required = payload_type.__required_keys__
    fields = {
        name: hint if name in required else typing_extensions.NotRequired[hint]
        for name, hint in (
            (name, _readable(hint))
            for name, hint in get_type_hints(payload_type, include_extras=True).items()
        )
    }
    return typing_extensions.TypedDict(payload_type.__name__, fields)  # type: ignore[operator]


def _faults(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    shown = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in found[:_MOST_SHOWN]]
    if len(found) > _MOST_SHOWN:
        shown.append(f"and {len(found) - _MOST_SHOWN} more")
    return "; ".join(shown)


def _path(location: tuple[int | str, ...]) -> str:
    return "data" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
