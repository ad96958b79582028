"""Streaming text: whatever the pieces, the same characters, and never part of a stop string."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_model.host.text import Detokeniser, StopFilter


def check(pieces: list[str], stops: list[str], shown: list[str], stopped: bool) -> None:
    text = StopFilter(stops)
    got = [text.push(piece) for piece in pieces]
    if not text.stopped:
        got.append(text.flush())
    assert (got, text.stopped) == (shown, stopped)


@pytest.mark.parametrize(
    ("pieces", "stops", "shown", "stopped"),
    [
        (["ab", "cd"], [], ["ab", "cd", ""], False),
        (["ab", "cd"], ["bc"], ["a", ""], True),
        (["a\n", "b\n", "\nc"], ["\n\n"], ["a", "\nb", ""], True),
        (["a", "\n"], ["\n\n"], ["a", "", "\n"], False),
        (["aab"], ["ab"], ["a"], True),
        (["a", "a", "b", "z"], ["ab"], ["", "a", "", ""], True),
        (["abcX"], ["abcX", "c"], ["ab"], True),
        (["abc", "X"], ["abcX", "c"], ["ab", ""], True),
        (["xbc"], ["bc", "c"], ["x"], True),
    ],
)
def test_stop_strings(pieces: list[str], stops: list[str], shown: list[str], stopped: bool) -> None:
    check(pieces, stops, shown, stopped)


few = st.text(alphabet="ab\n", max_size=4)


@given(st.lists(few, max_size=8), st.lists(few.filter(bool), max_size=3))
def test_the_pieces_do_not_matter(pieces: list[str], stops: list[str]) -> None:
    streamed = StopFilter(stops)
    shown = "".join(streamed.push(piece) for piece in pieces)
    assert not any(stop in shown for stop in stops)
    shown += "" if streamed.stopped else streamed.flush()

    whole = StopFilter(stops)
    at_once = whole.push("".join(pieces))
    at_once += "" if whole.stopped else whole.flush()
    assert (shown, streamed.stopped) == (at_once, whole.stopped)


@given(st.text(alphabet="aé漢😀\n", max_size=12))
def test_characters_come_out_whole(text: str) -> None:
    def decode(ids: list[int]) -> str:
        return bytes(ids).decode(errors="replace")

    characters = Detokeniser(decode)
    shown = [characters.push(byte) for byte in text.encode()]
    assert "".join(shown) == text
    assert all("�" not in piece for piece in shown)
    assert characters.flush() == ""


def test_an_incomplete_character_at_the_end_is_shown_as_broken() -> None:
    characters = Detokeniser(lambda ids: bytes(ids).decode(errors="replace"))
    assert [characters.push(byte) for byte in "é".encode()[:1]] == [""]
    assert characters.flush() == "�"
