"""A failure deep inside a busy loop, in an editor: the run is repeated, and its last hits can be hovered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.conftest import make_project
from tests.server.editor import editing

STOCK = """\
def left(orders):
    stock = 12_000
    for number, order in enumerate(orders):
        stock = stock - order
        assert stock > 0, number
    return stock


def test_left():
    assert left([3] * 4_500) == 0
"""


async def test_the_last_hits_before_a_failure_are_shown(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", {"test_stock.py": STOCK})
    async with editing(root, tmp_path / "data") as editor:
        editor.open("test_stock.py")
        editor.save("test_stock.py")
        await editor.failure("test_stock.py")

        # The failure is shown after the first pass; the last hits come with the second.
        seen = ""
        async with asyncio.timeout(60):
            while "last 10 of 4000" not in seen.replace(",", ""):
                await asyncio.sleep(0.1)
                seen = await editor.hover("test_stock.py", "stock = sto^ck - order") or ""
    assert "# first" in seen
