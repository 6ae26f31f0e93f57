"""A cursor over tokens that collects problems: what every part of the natural parser shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ..errors import Problem
from .tokens import Token, tokens_of
from .words import CLAUSE_WORDS, VALUE_WORDS, nearest

HINTS = {
    "fortnight": "every 2 weeks",
    "fortnightly": "every 2 weeks",
    "other": "every 2 ...",
    "biweekly": "every 2 weeks",
    "quarterly": "every 3 months",
    "quarter": "every 3 months",
    "annually": "yearly",
    "till": "until",
    "before": "upto",
    "after": "from",
    "workdays": "weekdays",
}


class Unreadable(Exception):
    """A clause cannot be read further; its problem is on the list already."""


class Reader:
    """Reads a text from left to right. Problems are collected, so that one text can report several."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.index = 0
        self.problems: list[Problem] = []

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def ahead(self, count: int = 1) -> Token:
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.index += 1
        return token

    def take_word(self, *words: str) -> Token | None:
        """The next token if it is one of some words."""
        return self.advance() if self.token.kind == "word" and self.token.word in words else None

    def take_sign(self, sign: str) -> Token | None:
        return self.advance() if self.token.kind == "sign" and self.token.text == sign else None

    def note(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        expected: Sequence[str] = (),
        suggestion: str | None = None,
    ) -> None:
        """Put a problem on the list and read on."""
        start, end = place
        self.problems.append(Problem(code, message, start, max(end, start), expected, suggestion))

    def fail(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        expected: Sequence[str] = (),
        suggestion: str | None = None,
    ) -> NoReturn:
        """Put a problem on the list and give the clause up."""
        self.note(code, message, place, expected, suggestion)
        raise Unreadable

    def fail_at(
        self, token: Token, valid: Iterable[str], message: str, expected: Sequence[str] = ()
    ) -> NoReturn:
        """Refuse a token: as missing, as an unknown word or sign, else with ``message``."""
        place = (token.start, token.end)
        if token.kind == "end":
            self.fail("missing", message, place, expected)
        if token.kind == "sign" and token.text not in ",[]@":
            self.fail_sign(token, expected)
        if token.kind == "word" and not (token.word in CLAUSE_WORDS or token.word in VALUE_WORDS):
            hint = HINTS.get(token.word)
            words = sorted(set(valid))
            self.fail(
                "unknown_word",
                f'unknown word "{token.text}"',
                place,
                expected or words[:12],
                f'"{hint}"' if hint else _quoted(nearest(token.word, words)),
            )
        self.fail("unexpected", message, place, expected)

    def fail_sign(self, token: Token, expected: Sequence[str] = ()) -> NoReturn:
        """Refuse a character that the language does not have, or not there."""
        place = (token.start, token.end)
        if token.text in ".:" and self.ahead().kind == "number" and self.index:
            before = self.tokens[self.index - 1]
            if token.text == "." and before.kind == "number":
                hint = f'"{before.text}:{self.ahead().text}"'
                self.fail("character", "hours and minutes are parted by a colon", place, expected, hint)
        if token.text == ":":
            self.fail("character", "no blank may stand before the colon", place, expected)
        if not token.text.isascii() and token.text.isdigit():
            self.fail("character", "only the digits 0 to 9 can be read", place, ("0-9",))
        self.fail("character", f"unexpected character {token.text!r}", place, expected)


def _quoted(word: str | None) -> str | None:
    return None if word is None else f'"{word}"'
