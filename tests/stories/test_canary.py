"""Twelve kinds of secret in a program that fails, and none of them anywhere that Backtrail keeps or sends.

What the editor itself sends, the person's own open text, is not looked at; all that it is sent is.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backtrail_probe.redact import MARK
from tests.probe.harness import run_probe
from tests.scripted_host import TOKEN, ScriptedHost
from tests.server.conftest import make_project
from tests.server.editor import Editor, editing

# Put together here, so that no scanner takes this file for a leak.
RANDOM = "Zk4q" + "T9xB2mW7vR1pL8sD3fG6hJ0c"
HEX = "3f786850e387550f" + "dab836ed7e6dc881de23001b"
BODY = "MIIEowIBAAKCAQEA" + "x7Yq9pT2wVb4Nf6Lk8Jh1Gd3Sa5Zc0Xe"
SECRETS = {
    "AWS_KEY": "AKIA" + "IOSFODNN7EXAMPLE",
    "GITHUB": "ghp_" + "k3JwQ8vT2xYzL5mN7bR9dF1gH4jP6sC0aV2e",
    "SLACK": "xoxb-" + "123456789012-abcdefGHIJKL",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + "abcDEF123_-x",
    "PRIVATE": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----",
    "ADDRESS": "postgres://user:" + "hunter2hunter2" + "@db/x",
    "API_SECRET": HEX,
    "RANDOM": RANDOM,
    "STRIPE": "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
    "GOOGLE": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "HEADER": "Authorization: Bearer " + "q8Zt3Lk9Vb2Nf5Xc",
}
PASSWORD = "correct-horse-battery"
FROM_ENVIRONMENT = "plain words as a pass phrase"
BARE = {
    **SECRETS,
    "PRIVATE": BODY,
    "ADDRESS": "hunter2hunter2",
    "HEADER": "q8Zt3Lk9Vb2Nf5Xc",
    "PASSWORD": PASSWORD,
    "ENVIRONMENT": FROM_ENVIRONMENT,
}
"""What must not be seen: of a URL or a header only a part is secret."""

LITERALS = "".join(f"{name} = {value!r}\n" for name, value in SECRETS.items())
APP = f'''\
import os

{LITERALS}
SETTINGS = {{"user": "me", "password": "{PASSWORD}"}}
ALL = [{", ".join(SECRETS)}]


class Client:
    def __init__(self, secret):
        self.secret = secret


def login(secret, count):
    """Log in with a secret; count how often."""
    client = Client(secret)
    print("logging in with", secret, client.secret)
    joined = "<" + secret + ">"
    as_bytes = secret.encode()
    phrase = os.environ["SERVICE_PASSWORD"]
    print("phrase", phrase, SETTINGS)
    if count > 1:
        raise ValueError("cannot log in with " + joined + " and " + phrase + " and " + str(SETTINGS))
    return count + 2
'''
TEST = f"""\
import pytest

from app import ALL, GITHUB, SETTINGS, login


def test_literal():
    count = login("{SECRETS["GITHUB"]}", 0); api_key = "{HEX}"; assert count == 1, "{SECRETS["STRIPE"]}"


@pytest.mark.parametrize("secret", [GITHUB])
def test_parametrised(secret):
    assert login(secret, 0) == 1, secret


@pytest.mark.skip(reason="needs " + GITHUB)
def test_skipped():
    pass


def test_compared():
    assert [*ALL, SETTINGS] == []


def test_all():
    assert [login(secret, 0) for secret in ALL] == [2] * len(ALL)


def test_raises():
    holder = {{"token": ALL}}
    for secret in ALL:
        login(secret, 2)
"""

# Stands between the editor and the server, and keeps a copy of all that the server says.
TEE = """\
import os, subprocess, sys, threading
server = subprocess.Popen(
    [sys.executable, "-m", "backtrail_server", "serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
)
def copy(pipe, to, name):
    with open(os.path.join(os.environ["CAPTURE"], name), "wb") as kept:
        while data := pipe.read1(65536):
            kept.write(data)
            kept.flush()
            os.write(to, data)
threads = [
    threading.Thread(target=copy, args=(server.stdout, 1, "stdout")),
    threading.Thread(target=copy, args=(server.stderr, 2, "stderr")),
]
for thread in threads:
    thread.start()
sys.exit(server.wait())
"""

PATIENT = {"wallSeconds": 120, "cpuSeconds": 120}  # a loaded machine is no failure

HOVERS = [
    "lo^gin(secret, 0) == 1", "sec^ret, 0) for", "AL^L] == [2]", "hol^der =", "SETT^INGS] == []",
    "GIT^HUB])", "sec^ret, 2)", "par^ametrize",
]  # fmt: skip
APP_HOVERS = [
    "cli^ent = Client", "joi^ned =", "as_b^ytes =", "phr^ase =", "SETT^INGS = {", "self.sec^ret =",
    "PRI^VATE =", "API_S^ECRET =", "HEA^DER =", "sec^ret.encode",
]  # fmt: skip


def leaks(name: str, text: str) -> list[str]:
    """Where a secret stands in a text, also as JSON and as a representation would write it."""
    found = [kind for kind, secret in BARE.items() if secret in text]
    return [f"{kind} in {name}: …{text[max(0, text.find(BARE[kind]) - 80) :][:160]}…" for kind in found]


async def test_none_of_twelve_secrets_is_kept_or_sent(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", {"app.py": APP, "test_app.py": TEST})
    data, capture = tmp_path / "data", tmp_path / "capture"
    capture.mkdir()
    tee = tmp_path / "tee.py"
    tee.write_text(TEE)
    env = {"SERVICE_PASSWORD": FROM_ENVIRONMENT, "CAPTURE": str(capture)}
    with ScriptedHost(fill=lambda *_: "return count + 1", reply=lambda _: "It fails.") as host:
        options: dict[str, Any] = {
            "limits": PATIENT,
            "model": {"baseUrl": f"{host.url}/v1", "token": TOKEN},
            "fix": {"budgetSeconds": 10},
        }
        async with editing(root, data, options=options, env=env, command=[str(tee)]) as editor:
            pages = await everything_is_asked_for(editor)
        bodies = [json.dumps(request.body, ensure_ascii=False) for request in host.requests]
    assert len(bodies) >= 2, "the model was asked"
    found = [leak for page in pages for leak in leaks("an answer", page)]
    found += [leak for body in bodies for leak in leaks("a prompt", json.dumps(json.loads(body)) + body)]
    for path in [*capture.iterdir(), *(path for path in data.rglob("*") if path.is_file())]:
        found += leaks(path.name, path.read_bytes().decode("utf-8", "replace"))
    kept = archived(data)
    assert len(kept) == 1 and "def login" in kept[0], "the failing run is in the archive, with its text"
    found += [leak for text in kept for leak in leaks("the archive", text)]
    assert not found, "\n".join(found)
    said = (capture / "stdout").read_text(encoding="utf-8")
    assert "redacted" in said and "publishDiagnostics" in said


async def everything_is_asked_for(editor: Editor) -> list[str]:
    """Saves, and then asks for all that an editor can be shown."""
    for name in ("app.py", "test_app.py"):
        editor.open(name)
    editor.save("test_app.py")
    await editor.failure("test_app.py")
    await editor.lens_saying("test_app.py", "failed")
    shown = [str(await editor.hover("test_app.py", marked)) for marked in HOVERS]
    shown += [str(await editor.hover("app.py", marked)) for marked in APP_HOVERS]
    assert any(MARK in text for text in shown), shown
    for name in ("app.py", "test_app.py"):
        shown += [*(await editor.hints(name)).values(), *(await editor.titles(name))]
        for diagnostic in editor.diagnostics(name):
            shown += [action.title for action in await editor.actions(name, diagnostic)]
    uri = editor.uri("test_app.py")
    for command in ("backtrail.explain", "backtrail.fix", "backtrail.showPrompt", "backtrail.status"):
        shown.append(str(await editor.command(command, uri)))
    literal = editor.place("test_app.py", "assert cou^nt")
    place = {"line": literal.line, "character": literal.character}
    why = await editor.command("backtrail.why", uri, place)
    assert "login" in why["markdown"], why
    return [*shown, str(why)]


async def test_what_is_evaluated_in_the_stopped_program_is_covered_too(tmp_path: Path) -> None:
    test = "from app import ALL, SETTINGS\n\n\ndef test_it():\n    key = ALL[6]\n    assert not key\n"
    root = make_project(tmp_path / "project", {"app.py": APP, "test_app.py": test})
    async with editing(root, tmp_path / "data", options={"limits": PATIENT}) as editor:
        editor.open("test_app.py")
        editor.save("test_app.py")
        await editor.failure("test_app.py")
        asked = {
            expression: str(
                await editor.command("backtrail.evaluate", editor.uri("test_app.py"), 5, expression)
            )
            for expression in ("ALL", "'<' + key + '>'", "ALL[4].encode()", "SETTINGS", "dict(SETTINGS)")
        }
    for expression, answer in asked.items():
        assert "redacted" in answer and not leaks(expression, answer), asked


def archived(data: Path) -> list[str]:
    """Every kept trace as the text that was compressed."""
    kept = []
    for path in data.rglob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT trace FROM kept").fetchall()
        kept += [zlib.decompress(row[0]).decode() for row in rows]
    return kept


@pytest.mark.parametrize("kind", ["pytest", "script"])
def test_none_of_them_is_in_the_log_of_a_run(kind: str, tmp_path: Path) -> None:
    script = {"test_app.py": APP + "\nfor each in ALL:\n    login(each, 0)\nlogin(ALL[1], 2)\n"}
    files = script if kind == "script" else {"test_app.py": TEST, "app.py": APP}
    ran = run_probe(tmp_path, files, kind, environ={"SERVICE_PASSWORD": FROM_ENVIRONMENT})
    assert ran.failures and ran.of("line"), ran.err
    records = json.dumps(ran.records, ensure_ascii=False)
    assert not leaks("the log", records)
    raw = (tmp_path / "project-scratch" / "log").read_bytes().decode("ascii", "replace")
    assert not leaks("the log's bytes", raw)


def test_the_tests_of_this_file_would_notice() -> None:
    assert [leak.split()[0] for leak in leaks("x", f"before {RANDOM} {PASSWORD}")] == ["RANDOM", "PASSWORD"]
    assert len(BARE) == 13 and sys.version_info >= (3, 11)
