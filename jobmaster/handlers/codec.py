"""What this room asks of the payload room, its sibling; the wiring passes it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..domain.plaindata import PlainData

__all__ = ["Codecs", "PayloadCodec"]


class PayloadCodec(Protocol):
    """Turns the data of one handler's jobs into JSON text and back. Safe to use from any thread."""

    @property
    def eager(self) -> bool:
        """Whether data is to be validated before the handler begins."""
        ...

    def encode(self, data: object) -> str:
        """Validated JSON text of an object. Raises ``InvalidJob`` naming the fields at fault."""
        ...

    def encode_plain(self, datas: Sequence[object]) -> list[str] | None:
        """The same for many, where a glance at all of them shows that none needs a closer look."""
        ...

    def decode(self, text: str) -> Any:
        """What ``job.data`` is. Raises ``InvalidJob`` when the stored text does not fit (any more)."""
        ...


class Codecs(Protocol):
    """The codecs of one cluster."""

    @property
    def reference(self) -> str:
        """``module:name`` of a callable without parameters that makes equal codecs in a child process."""
        ...

    def for_type(self, payload_type: object | None) -> PayloadCodec:
        """The codec of a payload type; ``None``: plain data. Raises ``TypeError`` saying why a type is
        unsuitable."""
        ...

    def encode_result(self, value: object) -> str:
        """JSON text of what a handler returned. Raises ``SerializationError``."""
        ...

    def decode_result(self, text: str) -> Any:
        """The JSON value of a stored result."""
        ...

    def encode_metadata(self, metadata: Mapping[str, Any] | None) -> str | None:
        """JSON text of metadata, ``None`` for none. Raises ``InvalidJob``."""
        ...

    def decode_mapping(self, text: str | None) -> PlainData:
        """The mapping that stored metadata or plain data is; empty for ``None``."""
        ...
