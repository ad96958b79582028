"""A question that may be too long for a model: it is asked again, shorter, until it fits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

from backtrail_model.errors import PromptTooLong

Version = TypeVar("Version")
Answer = TypeVar("Answer")


async def until_it_fits(
    versions: Iterable[Version], ask: Callable[[Version], AsyncGenerator[Answer, None]]
) -> AsyncGenerator[Answer, None]:
    """What `ask` yields for the first of the versions, longest first, that is not too long.

    Raises PromptTooLong when all of them are, and what else `ask` raises.
    """
    too_long: PromptTooLong | None = None
    for version in versions:
        try:
            async with aclosing(ask(version)) as answers:
                async for answer in answers:
                    yield answer
            return
        except PromptTooLong as error:
            too_long = error
    if too_long is not None:
        raise too_long
