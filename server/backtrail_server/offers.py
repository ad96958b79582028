"""The fixes that were found and may be applied, each bound to the text it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from backtrail_server.results import same_file


@frozen
class Offer:
    """A fix as an editor offers it. `before` is the text that was run without it, by file.

    `title` holds the verdict. `preferred` is true only when it passed everything, nothing is odd about it
    (`flags` says what is), and there is more for it than one test's word (`little` is false).
    """

    id: str
    title: str
    run: str  # the run whose failure it fixes
    failure: int  # index in that run
    before: Mapping[Path, str] = field(repr=False)
    after: Mapping[Path, str] = field(repr=False)
    diff: str = field(repr=False)
    passed: bool
    flags: tuple[str, ...] = ()
    little: bool = False

    @property
    def preferred(self) -> bool:
        return self.passed and not self.flags and not self.little


@define
class Offers:
    """The offers of one workspace, the best of each search first."""

    _offers: dict[str, Offer] = field(factory=dict)

    def add(self, offer: Offer) -> None:
        """A later offer of the same search is a better one."""
        self._offers = {offer.id: offer, **{k: o for k, o in self._offers.items() if k != offer.id}}

    def get(self, id: str) -> Offer | None:
        return self._offers.get(id)

    def of_failure(self, run: str, failure: int) -> list[Offer]:
        return [o for o in self._offers.values() if (o.run, o.failure) == (run, failure)]

    def of_file(self, path: Path, text: str) -> list[Offer]:
        """The offers that change a file whose text is still the one they were made for."""
        return [
            offer
            for offer in self._offers.values()
            if any(same_file(file, path) and before == text for file, before in offer.before.items())
        ]

    def drop_run(self, run: str) -> None:
        """Forget what was found for a run that a newer one has replaced."""
        self._offers = {key: offer for key, offer in self._offers.items() if offer.run != run}
