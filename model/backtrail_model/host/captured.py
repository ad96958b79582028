"""Short passes of a decoder, captured once and replayed as one launch (CUDA graphs).

A decode step is hundreds of small kernels, and at batch 1 starting them one by one from Python can take
longer than the GPU needs for them. A captured pass is started as a whole. It is fixed in every address and
shape, so there is one for each of a few shapes: rows, tokens and capacity are rounded up to powers of
two, and what is too much is computed and thrown away. Its keys and values lie in `FixedKeyValues`; a
cache that is decoded moves in there, and out again when another one needs the place.

What cannot be captured runs as it would without this, which `refused` tells.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable

import torch
from attrs import define, field

from backtrail_model.host.architecture import Architecture
from backtrail_model.host.cache import KeyValues
from backtrail_model.host.decoder import Decoder
from backtrail_model.host.fixed import FixedKeyValues
from backtrail_model.host.passing import Passing, whole

LOG = logging.getLogger(__name__)
MOST_ROWS = 16
MOST_TOKENS = 16
"""Longer passes are prompts: their kernels are large, and starting them costs little beside them."""
LEAST_CAPACITY = 1024
MOST_BYTES = 2 << 30
"""Of all fixed buffers together; the one used longest ago gives way."""

Run = Callable[[], torch.Tensor]
Capture = Callable[[Run], Run]
"""Makes of a pass what does it again, on what then lies at the same addresses."""


def cuda_graphs() -> Capture:
    """Capture as CUDA graphs, which share their working memory: no two of them ever run at once."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            run()  # libraries set themselves up in their first call, which cannot be captured
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            out = run()

        def replay() -> torch.Tensor:
            graph.replay()
            return out

        return replay

    return capture


@define(eq=False)
class Place:
    """Fixed buffers, the ids [rows, MOST_TOKENS] of the next pass, and the passes captured over them."""

    held: FixedKeyValues
    ids: torch.Tensor
    passes: dict[int, Run] = field(factory=dict)
    """By how many tokens they take."""
    _owner: weakref.ref[KeyValues] | None = None

    def admit(self, cache: KeyValues) -> None:
        """Let a cache lie here, whose buffers these are from then on."""
        keys, values = self.held.keys[:, : cache.rows], self.held.values[:, : cache.rows]
        if not cache.lies_in(keys):
            self.vacate()
            cache.move(keys, values)
            self._owner = weakref.ref(cache)
        self.held.follow(cache)

    def vacate(self) -> None:
        """The cache that lies here goes to buffers of its own."""
        owner = self._owner() if self._owner else None
        if owner is not None and owner.lies_in(self.held.keys):
            owner.move_out()
        self._owner = None


class Captured:
    """A decoder whose short passes are replayed; `replayed` counts them."""

    ragged = True

    def __init__(self, decoder: Decoder, capture: Capture, most_bytes: int = MOST_BYTES) -> None:
        self._decoder, self._capture, self._most_bytes = decoder, capture, most_bytes
        self._places: dict[tuple[int, int], Place] = {}  # by rows and capacity, used longest ago first
        self.replayed = 0
        self.refused = ""

    @property
    def config(self) -> Architecture:
        return self._decoder.config

    def empty_cache(self) -> KeyValues:
        return self._decoder.empty_cache()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._decoder.logits(hidden)

    def passing(self, ids: torch.Tensor, cache: KeyValues) -> Passing:
        """As `Decoder.passing`; a replayed pass cannot be left off, and takes no longer than a layer did."""
        hidden = self._replay(ids, cache)
        if hidden is None:
            hidden = yield from self._decoder.passing(ids, cache)
        return hidden

    def _replay(self, ids: torch.Tensor, cache: KeyValues) -> torch.Tensor | None:
        """The hidden states of a pass that could be replayed, else None."""
        rows, tokens = ids.shape
        if self.refused or rows > MOST_ROWS or tokens > MOST_TOKENS:
            return None
        try:
            place = self._place(cache, _up(rows), _up(tokens))
            if place is None:
                return None
            place.ids[:rows, :tokens] = ids
            hidden = self._captured(place, _up(tokens))()
        except RuntimeError as error:  # an operation that cannot be captured, or no memory
            self._give_up(error)
            return None
        cache.advance(tokens)
        self.replayed += 1
        return hidden[:rows, :tokens].clone()

    def _place(self, cache: KeyValues, rows: int, tokens: int) -> Place | None:
        """Buffers in which the cache lies from now on; None if they would be too large."""
        capacity = max(LEAST_CAPACITY, _up(cache.length + tokens))
        place = self._places.pop((rows, capacity), None) or self._new_place(cache, rows, capacity)
        if place is None:
            return None
        self._places[rows, capacity] = place
        place.admit(cache)
        return place

    def _new_place(self, cache: KeyValues, rows: int, capacity: int) -> Place | None:
        size = 2 * cache.bytes_of(rows, capacity)
        if size > self._most_bytes:
            return None
        while sum(place.held.nbytes for place in self._places.values()) + size > self._most_bytes:
            self._places.pop(next(iter(self._places))).vacate()
        held = FixedKeyValues(cache, rows, capacity)
        return Place(held, torch.zeros(rows, MOST_TOKENS, dtype=torch.long, device=held.keys.device))

    def _captured(self, place: Place, tokens: int) -> Run:
        if tokens not in place.passes:
            ids = place.ids[:, :tokens]
            place.passes[tokens] = self._capture(lambda: whole(self._decoder.passing(ids, place.held)))
        return place.passes[tokens]

    def _give_up(self, error: RuntimeError) -> None:
        """From here on every pass runs as it would without capturing."""
        self.refused = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        LOG.warning("passes are no longer replayed as one launch: %s", self.refused)
        for place in self._places.values():
            place.vacate()
        self._places.clear()


def _up(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
