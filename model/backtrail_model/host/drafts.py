"""Prompt lookup: guessing the next tokens from the text so far, and how many of them to try at once.

An answer that edits code mostly copies it. What followed the last tokens where they stood before is a
draft, which one pass checks as a whole (prompt lookup decoding; speculative decoding of arXiv 2211.17192
with a draft that costs nothing). A pass over more rows costs more, so the length of a draft is the one
with the most tokens for the time, by the costs and by the acceptance that were measured so far.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from attrs import frozen

LONGEST_MATCH = 16
LONGEST_DRAFT = 15
FAST, SLOW = 0.3, 0.05
PACKED = {1: 1.0, 2: 1.05, 3: 1.1, 4: 1.2, 5: 1.8, 8: 2.4, 16: 4.5}
"""On a CPU with AVX512-BF16: bitsandbytes' kernel takes rows by four, so four cost little more than one."""
BYTES = {1: 1.0, 2: 1.15, 4: 1.6, 8: 2.8, 16: 5.2}
"""By our own kernel (`integer.py`), which is bound by memory for one row and by arithmetic from four on."""


@frozen
class Guess:
    """Tokens that may follow. `match` is how many tokens before them stood there as well."""

    ids: tuple[int, ...]
    match: int


class Lookup:
    """A text that grows, with an index of where each token stands."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids: list[int] = []
        self._places: dict[int, list[int]] = defaultdict(list)
        self._from: int | None = None  # where the last guess began
        self._next: int | None = None  # where the copy goes on if the text left it for one token only
        self.extend(ids)

    def extend(self, ids: Sequence[int]) -> None:
        for token in ids:
            self._places[token].append(len(self._ids))
            self._ids.append(token)

    def guess(self, count: int) -> Guess:
        """At most `count` tokens after the longest earlier occurrence of the text's end; the latest of these.

        Where nothing but the last token fits, an edit that replaced one token of what was being copied is
        more likely than a new beginning, so the copy goes on behind that token.
        """
        place, match = self._longest()
        if match < 2 and self._next is not None:
            place = self._next
        self._from = place
        return Guess(() if place is None else tuple(self._ids[place : place + max(0, count)]), match)

    def settle(self, accepted: int) -> None:
        """Tell how many tokens of the last guess held; the one after them is new."""
        self._next = None if self._from is None else self._from + accepted + 1

    def _longest(self) -> tuple[int | None, int]:
        """Where the longest match goes on, and its length."""
        ids, end = self._ids, len(self._ids)
        best, longest = None, 0
        for place in reversed(self._places[ids[-1]][:-1] if ids else ()):
            length = 1
            while length < min(LONGEST_MATCH, place + 1) and ids[place - length] == ids[end - 1 - length]:
                length += 1
            if length > longest:
                best, longest = place + 1, length
            if longest == LONGEST_MATCH:
                break
        return best, longest


class Pace:
    """What passes cost by their rows, and how often drafts hold; both learnt while decoding.

    It begins with rough costs by rows, in units of a pass over one; bench/model_host.py prints a layer's.
    """

    def __init__(self, costs: Mapping[int, float] = PACKED) -> None:
        self._costs = dict(costs)
        self._unit: float | None = None  # seconds for one row, as things are now
        self._holds = [0.3, 0.5, 0.7, 0.85]  # by the length of the match: 1, 2, 3 to 5, more

    def cost(self, rows: int) -> float:
        """A pass over `rows` rows in passes over one."""
        known = sorted(self._costs)
        above = next((size for size in known if size >= rows), known[-1])
        below = max((size for size in known if size <= rows), default=known[0])
        if above == below:
            return self._costs[above] * max(1.0, rows / above)
        share = (rows - below) / (above - below)
        return (1 - share) * self._costs[below] + share * self._costs[above]

    def took(self, rows: int, seconds: float) -> None:
        """A pass over `rows` rows took so long.

        How fast the machine is changes from moment to moment, with what else runs on it; what rows cost
        beside each other does not. So the first follows each pass quickly, and the second slowly.
        """
        old = self.cost(rows)
        if self._unit is None:
            self._unit = seconds / old
        ratio = min(seconds / (old * self._unit), 2.0)  # a pass held up by something else counts as twice
        self._unit *= 1 + FAST * (ratio - 1)
        if rows > 1:
            self._costs[rows] = old * (1 + SLOW * (ratio - 1))

    def holds(self, match: int) -> float:
        """How likely a token of a draft is to hold if the ones before it did."""
        return self._holds[_bucket(match)]

    def settled(self, guess: Guess, accepted: int) -> None:
        """Learn from a draft of which `accepted` tokens held."""
        tried = min(len(guess.ids), accepted + 1)
        place = _bucket(guess.match)
        for held in [True] * accepted + [False] * (tried - accepted):
            self._holds[place] += 2 * SLOW * (held - self._holds[place])

    def gain(self) -> float:
        """The most that drafts can bring at present: tokens a pass over its cost, with the best match."""
        count = self.length(LONGEST_MATCH, LONGEST_DRAFT)
        return sum(self._holds[-1] ** place for place in range(count + 1)) / self.cost(count + 1)

    def length(self, match: int, room: int) -> int:
        """How many tokens to draft: the most tokens expected for the time. 0 is no draft."""
        chance = self.holds(match)
        expected, best, best_rate = 1.0, 0, 1.0 / self.cost(1)
        for count in range(1, min(room, LONGEST_DRAFT) + 1):
            expected += chance**count
            if (rate := expected / self.cost(count + 1)) > best_rate:
                best, best_rate = count, rate
        return best


def _bucket(match: int) -> int:
    return 0 if match < 2 else 1 if match == 2 else 2 if match < 6 else 3
