"""Typed payloads: pydantic models, dataclasses and typed dictionaries. The only file that knows pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from ..errors import InvalidJob, SerializationError
from .jsontext import write
from .plain import non_finite, plain

__all__ = ["TypedCodec"]

_MOST_SHOWN = 20


class TypedCodec:
    """The codec of one payload type; see ``handlers.PayloadCodec``.

    Raises ``TypeError`` for a type that pydantic cannot read and write.
    """

    eager = True

    def __init__(self, payload_type: Any) -> None:
        self._name = getattr(payload_type, "__name__", None) or str(payload_type)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(payload_type)
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

    def decode(self, text: str) -> Any:
        """The validated instance."""
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise InvalidJob(f"the stored data does not fit {self._name}: {_faults(error)}") from None


def _faults(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    shown = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in found[:_MOST_SHOWN]]
    if len(found) > _MOST_SHOWN:
        shown.append(f"and {len(found) - _MOST_SHOWN} more")
    return "; ".join(shown)


def _path(location: tuple[int | str, ...]) -> str:
    return "data" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
