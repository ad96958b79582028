"""A run that the guard stopped: how it is shown, and "Allow … for this workspace", with a real editor."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrail_server.allowing import allowances, is_allowance
from backtrail_server.trust import TrustStore
from backtrail_tracer.trace import SideEffect
from tests.server.conftest import make_project
from tests.server.editor import editing

CALL = """\
import socket

name = "before"
with socket.create_connection(("127.0.0.1", {port}), 10):
    after = "reached"
if __name__ == "__main__":
    print(after)
"""
SAVE = """\
from pathlib import Path

if __name__ == "__main__":
    text = "kept"
    Path("out/new.txt").write_text(text)
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_the_network_is_allowed_for_this_workspace_only(tmp_path: Path, data: Path, port: int) -> None:
    root = make_project(tmp_path / "project", {"call.py": CALL.format(port=port)})
    before = sorted(path.name for path in root.rglob("*"))
    async with editing(root, data) as editor:
        editor.open("call.py")
        editor.save("call.py")
        stopped = await editor.failure("call.py")
        assert stopped.range.start.line == 3
        assert f"connecting to 127.0.0.1:{port}" in stopped.message
        assert await editor.lens_saying("call.py", "stopped at a side effect")
        assert "'before'" in (await editor.hover("call.py", "na^me") or ""), "the partial trace"
        titles = [action.title for action in await editor.actions("call.py", stopped)]
        assert "Allow network for this workspace" in titles
        done = await editor.command("backtrail.allow", editor.uri("call.py"), "network")
        assert done["allowed"] is True
        await editor.clean("call.py")
        assert "'reached'" in (await editor.hover("call.py", "aft^er =") or "")
        assert not [title for title in titles if "Allow" not in title and "network" in title]
    assert TrustStore(data).allowed(root) == ("network",)
    assert sorted(path.name for path in root.rglob("*")) == before, "nothing is kept in the repository"
    async with editing(root, data) as editor:  # another server, another day
        editor.open("call.py")
        editor.save("call.py")
        assert await editor.lens_saying("call.py", "passed")
    other = make_project(tmp_path / "other", {"call.py": CALL.format(port=port)})
    async with editing(other, data) as editor:
        editor.open("call.py")
        editor.save("call.py")
        assert "blocked" in (await editor.failure("call.py")).message


async def test_a_folder_is_allowed_and_written_to(tmp_path: Path, data: Path) -> None:
    root = make_project(tmp_path / "project", {"save.py": SAVE, "out/old.txt": "old"})
    async with editing(root, data) as editor:
        editor.open("save.py")
        editor.save("save.py")
        stopped = await editor.failure("save.py")
        titles = [action.title for action in await editor.actions("save.py", stopped)]
        assert "Allow writing out/new.txt for this workspace" in titles
        assert "Allow writing to out/ for this workspace" in titles
        assert not (root / "out" / "new.txt").exists()
        await editor.command("backtrail.allow", editor.uri("save.py"), f"write:{root / 'out'}")
        await editor.clean("save.py")
        assert (root / "out" / "new.txt").read_text() == "kept"
        actions = await editor.actions("save.py", stopped)
        assert not [action.title for action in actions if action.title.startswith("Allow")]


def test_vs_code_takes_no_allowance_from_settings_in_the_repository() -> None:
    """Of `.vscode/settings.json` nobody would be asked; pyproject.toml may ask, and the person answers."""
    manifest = json.loads((Path(__file__).parents[2] / "editors" / "vscode" / "package.json").read_text())
    properties = manifest["contributes"]["configuration"]["properties"]
    for name in ("guard.allow", "sandbox", "model.allowHosts", "model.token", "server.path"):
        assert properties[f"backtrail.{name}"]["scope"] == "machine", name


@pytest.mark.parametrize("text", ["everything", "write:/", "write:relative", "kill", None, ["network"]])
async def test_what_is_no_allowance_is_refused(text: object, tmp_path: Path, data: Path) -> None:
    root = make_project(tmp_path / "project", {"save.py": SAVE})
    async with editing(root, data) as editor:
        editor.open("save.py")
        with pytest.raises(Exception, match="what to allow"):
            await editor.command("backtrail.allow", editor.uri("save.py"), text)
    assert not (data / "trust.json").exists()


@pytest.mark.parametrize(
    ("kind", "detail", "texts"),
    [
        ("network", "192.0.2.1:80", ["network"]),
        ("subprocess", "rm -r x", ["subprocess"]),
        ("write", "/w/out/a", ["write:/w/out/a", "write:/w/out"]),
        ("delete", "/elsewhere/a", ["write:/elsewhere/a", "write:/elsewhere"]),
        ("write", "/w/a.py", ["write:/w/a.py"]),  # not the whole workspace
        ("write", "/a", ["write:/a"]),  # not the whole machine
        ("kill", "1", []),
        ("registry", "the registry", []),
    ],
)
def test_what_is_offered_is_as_narrow_as_can_be(kind: str, detail: str, texts: list[str]) -> None:
    effect = SideEffect(kind, detail, Path("/w/a.py"), 1, allowed=False)
    offered = [allowance.text for allowance in allowances(effect, Path("/w"))]
    assert offered == texts and all(map(is_allowance, offered))


def test_what_was_allowed_outlives_another_answer_and_can_be_taken_back(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    store.allow(tmp_path, "network")
    assert store.allowed(tmp_path) == (), "without a consent nothing runs, and nothing is allowed"
    store.remember(tmp_path, "always")
    store.allow(tmp_path, "subprocess")
    store.remember(tmp_path, "ask", ("network",))
    assert store.allowed(tmp_path) == ("network", "subprocess")
    store.forget(tmp_path)
    consent = store.of(tmp_path)
    assert consent is not None and (consent.answer, consent.allow) == ("ask", ("network",))
    assert consent.allowed == ()


def test_a_damaged_list_allows_nothing(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    store.remember(tmp_path, "always")
    data = json.loads(store.file.read_text())
    next(iter(data["workspaces"].values()))["allowed"] = "network"
    store.file.write_text(json.dumps(data))
    assert store.allowed(tmp_path) == ()
