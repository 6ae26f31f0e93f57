"""Words, numbers and signs of a natural expression, each with its place in the text."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\s;]|[^\S \t\r\n]")
_ZONE = re.compile(r"[A-Za-z0-9_+\-/]+")


class Token(NamedTuple):
    """``text`` as written, ``word`` in lower case; ``joined`` when nothing stands before it."""

    kind: Literal["word", "number", "sign", "end"]
    text: str
    word: str
    start: int
    end: int
    joined: bool

    @property
    def number(self) -> int:
        return int(self.text)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, with an ``end`` token at its end, blanks included.

    Blanks are the space, tab, CR, LF and the semicolon; any other character that is neither an ASCII letter
    nor an ASCII digit is a sign of its own, for the parser to accept or refuse.
    """
    found = []
    last = -1
    for match in _PIECE.finditer(text):
        piece = match.group()
        start, end = match.span()
        kind: Literal["word", "number", "sign"] = "sign"
        if "0" <= piece[0] <= "9":
            kind = "number"
        elif "a" <= piece[0].lower() <= "z" and piece.isascii():
            kind = "word"
        found.append(Token(kind, piece, piece.lower(), start, end, start == last))
        last = end
    found.append(Token("end", "", "", len(text), len(text), last == len(text)))
    return found


def zone_at(text: str, start: int) -> tuple[str, int]:
    """The zone token that begins at a place, and where it ends; the empty text if none does."""
    match = _ZONE.match(text, start)
    return (match.group(), match.end()) if match else ("", start)
