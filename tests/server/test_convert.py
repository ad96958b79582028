"""Positions and edits in every unit, with characters of every width."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from backtrail_server import convert
from backtrail_server.convert import Encoding
from backtrail_tracer.aging import line_map, split_lines
from tests.server import reference

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
CHARS = st.sampled_from("ab =é\u00df中\u2028\x0c😀\U0001d54f\t")
LINES = st.lists(st.text(CHARS, max_size=8), min_size=1, max_size=8)


def text_of(end: str) -> st.SearchStrategy[str]:
    return LINES.map(end.join)


@pytest.mark.parametrize(
    ("line", "column", "encoding", "character"),
    [
        ('x = "😀" + y', 10, "utf-16", 11),
        ('x = "😀" + y', 10, "utf-8", 13),
        ('x = "😀" + y', 10, "utf-32", 10),
        ("é = 1", 1, "utf-8", 2),
        ("é = 1", 1, "utf-16", 1),
        ("abc", 99, "utf-16", 3),
    ],
)
def test_positions(line: str, column: int, encoding: Encoding, character: int) -> None:
    assert convert.position(line, 1, column, encoding) == types.Position(0, character)


@given(text_of("\n"), st.integers(1, 9), st.integers(0, 9), st.sampled_from(ENCODINGS))
def test_a_place_comes_back_from_the_wire_as_it_went(
    text: str, line: int, column: int, encoding: Encoding
) -> None:
    lines = split_lines(text)
    line = min(line, len(lines))
    column = min(column, len(lines[line - 1]))
    at = convert.position(text, line, column, encoding)
    assert convert.place(text, at, encoding) == (line, column)
    assert convert.offset(text, at, encoding) == sum(len(row) + 1 for row in lines[: line - 1]) + column


@given(text_of("\n"), st.integers(0, 12), st.integers(0, 40), st.sampled_from(ENCODINGS))
def test_a_place_outside_the_text_is_cut_to_it(
    text: str, line: int, character: int, encoding: Encoding
) -> None:
    at = convert.offset(text, types.Position(line, character), encoding)
    assert 0 <= at <= len(text)


@given(
    st.sampled_from(["\n", "\r\n"]).flatmap(lambda end: st.tuples(text_of(end), text_of(end))),
    st.sampled_from(ENCODINGS),
)
def test_edits_give_the_text_that_was_meant(texts: tuple[str, str], encoding: Encoding) -> None:
    before, after = texts
    edits = convert.text_edits(before, after, encoding)
    # An independent reading of the protocol applies them, so that a shared mistake cannot hide.
    expected = (
        after.replace("\n", "\r\n").replace("\r\r", "\r") if "\r\n" in before else after.replace("\r", "")
    )
    assert reference.apply(before, edits, encoding) == expected
    assert convert.apply_edits(before, edits, encoding) == expected


@given(LINES, st.integers(0, 7), st.text(CHARS, max_size=5))
def test_an_edit_holds_only_the_lines_that_change(lines: list[str], index: int, fresh: str) -> None:
    index = min(index, len(lines) - 1)
    changed = [*lines[:index], fresh, *lines[index + 1 :]]
    edits = convert.text_edits("\n".join(lines), "\n".join(changed), "utf-16")
    if lines[index] == fresh:
        assert edits == []
    else:
        # At the last line the end of the line above is lent.
        rows = {row for edit in edits for row in range(edit.range.start.line, edit.range.end.line + 1)}
        assert rows <= set(range(max(0, index - len(lines)), len(lines) + 1)) and len(edits) <= 2


def test_a_fix_keeps_the_line_ends_of_a_windows_file() -> None:
    before = "a = 1\r\nb = 2\r\nc = 3\r\n"
    edits = convert.text_edits(before, "a = 1\nb = 20\nc = 3\n", "utf-16")
    assert [edit.range.start.line for edit in edits] == [1]
    assert convert.apply_edits(before, edits, "utf-16") == "a = 1\r\nb = 20\r\nc = 3\r\n"


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("  é = boom()\n", (1, 7), (1, 13), ((0, 6), (0, 12))),
        ("  x = boom()\n", (1, -1), (1, -1), ((0, 2), (0, 12))),
        ("f(\n  1,\n)\n", (1, 0), (3, 1), ((0, 0), (2, 1))),
        ("a\n", (9, 0), (9, 4), ((1, 0), (1, 0))),
    ],
)
def test_ranges_of_ast(
    text: str, start: tuple[int, int], end: tuple[int, int], expected: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    found = convert.byte_range(text, start, end, "utf-16")
    assert ((found.start.line, found.start.character), (found.end.line, found.end.character)) == expected


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c/%C3%A9.py", Path("/a/b c/é.py")),
        ("file:///a/%23x.py", Path("/a/#x.py")),
        ("untitled:Untitled-1", None),
        ("vscode-notebook-cell:/a.ipynb#1", None),
    ],
)
def test_uris(uri: str, path: Path | None) -> None:
    assert convert.path_of(uri) == path
    if path is not None:
        assert convert.path_of(path.as_uri()) == path


@given(LINES, LINES)
def test_mapped_lines_are_the_same_line_in_both_texts(ran: list[str], now: list[str]) -> None:
    mapping = line_map("\n".join(ran), "\n".join(now))
    for line in range(1, len(now) + 1):
        then = mapping.ran(line)
        assert then is None or (ran[then - 1] == now[line - 1] and mapping.now(then) == line)
    assert mapping.same == (ran == now)


def test_an_edited_line_is_known_and_the_ones_around_it_move() -> None:
    mapping = line_map("a\nb\nc\nd\n", "new\na\nB\nc\nd\n")
    assert [mapping.ran(line) for line in range(1, 6)] == [None, 1, None, 3, 4]
    assert [mapping.now(line) for line in range(1, 5)] == [2, None, 4, 5]
