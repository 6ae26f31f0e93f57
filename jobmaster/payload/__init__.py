"""Payloads: what data, metadata and results look like as JSON text, and how it is checked."""

from .codecs import JsonCodecs, check_size

__all__ = ["JsonCodecs", "check_size"]
