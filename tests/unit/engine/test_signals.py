"""The way into an event loop from any thread."""

from __future__ import annotations

import asyncio

import pytest

from jobmaster.engine.signals import tell


class _ClosingMeanwhile(asyncio.SelectorEventLoop):
    """Closed by another thread after somebody has looked whether it is."""

    def call_soon_threadsafe(self, *args: object, **options: object) -> asyncio.Handle:
        self.close()
        return super().call_soon_threadsafe(*args, **options)  # type: ignore[arg-type]


class _Refusing(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, *args: object, **options: object) -> asyncio.Handle:
        raise RuntimeError("out of order")


def test_a_loop_is_told() -> None:
    heard: list[int] = []

    async def main() -> None:
        tell(asyncio.get_running_loop(), heard.append, 1)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert heard == [1]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "closing"])
def test_nobody_is_left_in_a_loop_that_was_closed(closed: bool) -> None:
    loop = _ClosingMeanwhile()
    if closed:
        loop.close()
    heard: list[int] = []
    tell(loop, heard.append, 1)
    tell(None, heard.append, 1)
    assert loop.is_closed()
    assert heard == []


def test_any_other_refusal_is_an_error() -> None:
    loop = _Refusing()
    try:
        with pytest.raises(RuntimeError, match="out of order"):
            tell(loop, print)
    finally:
        loop.close()
