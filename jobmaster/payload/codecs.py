"""The codecs of a cluster: plain mappings, typed payloads, results, metadata, and their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.plaindata import PlainData
from ..errors import InvalidJob, MessageTooLarge, SerializationError
from .jsontext import read, write
from .plain import are_flat, is_flat, plain

if TYPE_CHECKING:
    from .typed import TypedCodec

__all__ = ["JsonCodecs", "PlainCodec", "check_size"]


class PlainCodec:
    """The codec of data without a type: a mapping of JSON values."""

    eager = False

    def encode(self, data: object) -> str:
        """JSON text of a mapping. Raises ``InvalidJob`` for anything else."""
        if type(data) is dict and is_flat(data):
            text = write(data)
            if text.isascii():
                return text
        if not isinstance(data, Mapping):
            raise InvalidJob(f"data must be a mapping with text keys, not {type(data).__name__}")
        return write(plain(data, "data"))

    def encode_plain(self, datas: Sequence[object]) -> list[str] | None:
        """The texts of many where all are flat mappings in ASCII, as most are; else ``None``."""
        if not are_flat(datas):
            return None
        try:
            texts = list(map(write, datas))
        except SerializationError:
            return None
        return texts if all(map(str.isascii, texts)) else None

    def decode(self, text: str) -> PlainData:
        """The read-only mapping."""
        value = read(text)
        return PlainData(value) if type(value) is dict else _read_mapping(text)


class JsonCodecs:
    """JSON for everything that is stored with a job; see ``handlers.Codecs``. Holds no state."""

    reference = "jobmaster.payload:JsonCodecs"

    def __init__(self) -> None:
        self._plain = PlainCodec()

    def for_type(self, payload_type: object | None) -> PlainCodec | TypedCodec:
        """The codec of a payload type; ``None``: plain data. Pydantic is imported for a type only.

        Raises ``TypeError`` saying why a type is unsuitable.
        """
        if payload_type is None:
            return self._plain
        from .typed import TypedCodec

        return TypedCodec(payload_type)

    def encode_result(self, value: object) -> str:
        """JSON text of what a handler returned; pydantic models and dataclasses are dumped.

        Raises :class:`SerializationError` naming the place, such as ``result.items[3]``.
        """
        return write(plain(value, "result", models=True))

    def decode_result(self, text: str) -> Any:
        """The JSON value of a stored result."""
        return read(text)

    def encode_metadata(self, metadata: Mapping[str, Any] | None) -> str | None:
        """JSON text of metadata; ``None`` for none and for an empty mapping.

        Metadata is searched by the databases, which know no NUL, so text with NUL is refused here. Raises
        ``InvalidJob``.
        """
        if metadata is None:
            return None
        if not isinstance(metadata, Mapping):
            raise InvalidJob(f"metadata must be a mapping with text keys, not {type(metadata).__name__}")
        return write(plain(metadata, "metadata", nul=False)) if metadata else None

    def decode_mapping(self, text: str | None) -> PlainData:
        """The mapping that stored metadata or data is; empty for ``None``."""
        return PlainData() if text is None else _read_mapping(text)


def _read_mapping(text: str) -> PlainData:
    value = read(text)
    if not isinstance(value, dict):
        raise SerializationError(f"the stored data is not a mapping but {type(value).__name__}")
    return PlainData(value)


def check_size(limit: int | None, data: str, metadata: str | None = None) -> None:
    """Raise :class:`MessageTooLarge` when data and metadata together exceed ``limit`` bytes of UTF-8.

    ``None`` sets no limit.
    """
    if limit is None:
        return
    length = len(data) + (0 if metadata is None else len(metadata))
    if length * 4 <= limit:
        return
    size = _bytes(data) + (0 if metadata is None else _bytes(metadata))
    if size > limit:
        raise MessageTooLarge(
            f"data and metadata have {size} bytes and max_message_bytes is {limit}: "
            "store the bulk elsewhere and pass a reference to it"
        )


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
