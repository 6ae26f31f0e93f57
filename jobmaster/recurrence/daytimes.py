"""Times of day at which a calendar fires, and the next one from a second of the day on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .clock import DAY
from .spans import ALL_24, ALL_60, FULL, Spans, bits, clock_mask, second_mask


class ClockMask(NamedTuple):
    """Bit masks of hours, minutes and seconds whose every combination is meant."""

    hours: int = ALL_24
    minutes: int = ALL_60
    seconds: int = ALL_60

    @property
    def size(self) -> int:
        return self.hours.bit_count() * self.minutes.bit_count() * self.seconds.bit_count()

    def all(self) -> list[int]:
        """Every second of the day that is meant, in order."""
        seconds = bits(self.seconds)
        minutes = bits(self.minutes)
        return [h * 3600 + m * 60 + s for h in bits(self.hours) for m in minutes for s in seconds]


class DayTimes:
    """The union of some products of hours, minutes and seconds, cut to ``spans`` of the day.

    One product is searched by its masks, so that ``* * * * * *`` costs no more than ``0 0 * * *``; several
    are kept as a sorted list.
    """

    __slots__ = (
        "_first",
        "_hours",
        "_list",
        "_lowest",
        "_mask",
        "_minutes",
        "_seconds",
        "last",
        "next",
        "products",
        "spans",
    )

    next: Callable[[int], int]
    """The first time from a second of the day on, -1 when none is left in the day."""

    def __init__(self, products: Iterable[ClockMask], spans: Spans = FULL) -> None:
        self.products = tuple(products)
        self.spans = spans
        self._list: tuple[int, ...] = ()
        self._mask = 0  # made when it is asked for
        self._hours = self._minutes = self._seconds = self._lowest = self._first = 0
        if len(self.products) == 1:
            self._hours, self._minutes, self._seconds = self.products[0]
            self._lowest = _lowest(self._seconds)
            self._first = _lowest(self._minutes) * 60 + self._lowest
            latest = [mask.bit_length() - 1 for mask in self.products[0]]
            self.last = latest[0] * 3600 + latest[1] * 60 + latest[2]
        else:
            self._list = tuple(sorted({second for product in self.products for second in product.all()}))
            self.last = self._list[-1]
        self.next = self._next if spans is FULL else self._within

    @property
    def only(self) -> int | None:
        """The second of the day, if there is exactly one."""
        first = self.next(0)
        return first if first >= 0 and self.next(first + 1) < 0 else None

    @property
    def mask(self) -> int:
        """Every time as bits, bit s for second s of the day."""
        if not self._mask:
            mask = 0
            for product in self.products:
                mask |= clock_mask(*product)
            self._mask = mask & second_mask(self.spans)
        return self._mask

    def all(self) -> list[int]:
        """Every time, in order."""
        found = sorted({second for product in self.products for second in product.all()})
        return found if self.spans == FULL else [second for second in found if self.next(second) == second]

    def _within(self, second: int) -> int:
        return self.next_within(self.spans, second)

    def next_within(self, spans: Spans, second: int) -> int:
        """The first time from ``second`` on that lies in ``spans``, -1 when there is none."""
        index = max(bisect_right(spans, (second, DAY)) - 1, 0)
        while index < len(spans):
            low, high = spans[index]
            if high > second:
                second = self._next(max(second, low))
                if second < 0:
                    return -1
                if second < high:
                    return second
            index += 1
        return -1

    def _next(self, value: int) -> int:
        if self._list:
            index = bisect_left(self._list, value)
            return self._list[index] if index < len(self._list) else -1
        hour = value // 3600
        if self._hours >> hour & 1:
            second = value % 60
            minute = value // 60 % 60
            if self._minutes >> minute & 1:
                left = self._seconds >> second
                if left:
                    return value + (left & -left).bit_length() - 1
            left = self._minutes >> (minute + 1)
            if left:
                minute += (left & -left).bit_length()
                return hour * 3600 + minute * 60 + self._lowest
        left = self._hours >> (hour + 1)
        if left:
            return (hour + (left & -left).bit_length()) * 3600 + self._first
        return -1


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
