"""A fix that a person applies in an editor is kept to learn from, where they said so, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_model.tune.kept import Kept
from backtrail_model.tune.triples import read
from tests.scripted_host import TOKEN, ScriptedHost, knows
from tests.server.conftest import STATS
from tests.server.editor import editing

FIXED = STATS.replace("len(values) + 1", "len(values)")


@pytest.mark.parametrize("keep", [True, False])
async def test_an_applied_fix_is_kept_where_the_person_said_so(project: Path, data: Path, keep: bool) -> None:
    with ScriptedHost(fill=knows(FIXED)) as host:
        model = {"baseUrl": f"{host.url}/v1", "token": TOKEN}
        options = {"model": model, "fix": {"keep": keep, "budgetSeconds": 40}}
        async with editing(project, data, options=options) as editor:
            editor.open("stats.py")
            editor.open("test_stats.py")
            editor.save("stats.py")
            failure = await editor.failure("test_stats.py")
            found = await editor.command("backtrail.fix", editor.uri("stats.py"), 0)
            assert found["found"] is True, found
            offer = (await editor.actions("test_stats.py", failure))[0].data["offer"]
            refused = await editor.command("backtrail.applyFix", editor.uri("stats.py"), "no such fix")
            assert refused["applied"] is False
            assert not Kept(data).path.exists(), "nothing was applied yet"
            applied = await editor.command("backtrail.applyFix", editor.uri("stats.py"), offer)
            assert applied == {"applied": True, "reason": ""}
            fixed = editor.texts[editor.uri("stats.py")]
    if not keep:
        assert not Kept(data).path.exists()
        return
    (triple,) = read(Kept(data).path)
    assert "len(values) + 1" in triple.program and triple.fix.strip() in fixed
    assert "mean([1, 2, 3])" in triple.facts, "the facts of the failure that it repaired"
