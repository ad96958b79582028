"""The caches of recent prompts, so that a prompt that begins like one of them is not read again."""

from __future__ import annotations

from collections import OrderedDict

from backtrail_model.host.cache import ROOM, KeyValues

WORTH_KEEPING = 16  # tokens: below this a copy saves nothing


class Prefixes:
    """The most recently used prompts with their keys and values, at most `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[int, ...], KeyValues] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(cache.nbytes for cache in self._held.values())

    def longest(self, ids: list[int]) -> KeyValues | None:
        """A copy of the longest held beginning of `ids`, at most all but its last token, or None.

        The last token is left out because its forward pass gives the logits to go on from.
        """
        best = max(self._held, key=lambda held: shared(held, ids), default=())
        length = min(shared(best, ids), len(ids) - 1)
        if length < WORTH_KEEPING:
            return None
        self._held.move_to_end(best)
        return self._held[best].prefix(length, ROOM)

    def keep(self, ids: list[int], cache: KeyValues) -> None:
        """Hold a copy of the cache of `ids`; drop what it extends, and the oldest while over the limit."""
        key = tuple(ids[: cache.length])
        if len(key) < WORTH_KEEPING or any(held[: len(key)] == key for held in self._held):
            return
        for held in [held for held in self._held if key[: len(held)] == held]:
            del self._held[held]
        self._held[key] = cache.prefix(len(key))
        while self._held and self.nbytes > self._limit:
            self._held.popitem(last=False)

    def clear(self) -> None:
        self._held.clear()


def shared(first: tuple[int, ...], second: list[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    return count
