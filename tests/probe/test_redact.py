"""Secrets do not reach the log, whatever they are inside of; ordinary values do."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_probe.redact import MARK, Redactor
from tests.probe.harness import run_probe

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "k3JwQ8vT2xYzL5mN7bR9dF1gH4jP6sC0aV2e",
    "github_fine": "github_pat_" + "11ABCDE0Q0abcdefghij_klmnopqrstuvwxyz01",
    "slack": "xoxb-" + "123456789012-abcdefGHIJKL",
    "openai": "sk-" + "proj-abcdefghijklmnop1234",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + "abcDEF123_-x",
    "huggingface": "hf_" + "abcdefghijklmnopqrstuvwx",
    "google": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "private_key": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
    "url": "postgres://user:" + "hunter2hunter2" + "@db/x",
    "named": "password=" + "correct-horse",
    "random": "Zk4q" + "T9xB2mW7vR1pL8sD3fG6hJ0c",
    "environment": "not-very-random-secret",
}
BARE = {**SECRETS, "url": "hunter2hunter2", "named": "correct-horse"}
"""What must not be seen: of a URL and of `password=…` only a part is secret."""


@pytest.mark.parametrize("name", SECRETS)
def test_hides(name: str) -> None:
    redactor = Redactor({"MY_API_TOKEN": SECRETS["environment"]})
    for text in (SECRETS[name], f"before {SECRETS[name]} after"):
        hidden, found = redactor.hide(text)
        assert found
        assert BARE[name] not in hidden
        assert MARK in hidden


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "an ordinary sentence about tokens and a password",
        "/home/someone/projects/Something/Version2/module.py",
        "test_something_very_long_with_underscores_1234",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "https://example.org/path?x=1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "12345678901234567890123456789012",
        "2024-01-01T00:00:00+00:00",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert Redactor({}).hide(text) == (text, False)


def test_canaries_are_not_in_the_log(tmp_path: Path) -> None:
    program = f"""
import os
SECRETS = {SECRETS!r}
def use(text, holder, data):
    joined = "key: " + text + "!"
    longer = "x" * 150 + text
    class Thing:
        def __init__(self): self.token = text
    thing = Thing()
    return [thing, joined, {{text: 1}}, (text,)]
for value in SECRETS.values():
    use(value, [value], value.encode())
env = os.environ["SERVICE_PASSWORD"]
raise ValueError("cannot log in with " + SECRETS["github"])
"""
    ran = run_probe(tmp_path, program, environ={"SERVICE_PASSWORD": SECRETS["environment"]})
    assert ran.failures and ran.of("line")
    log = (tmp_path / "project-scratch" / "log").read_bytes()
    for name, secret in BARE.items():
        lines = secret.splitlines()
        assert max(lines, key=len).encode() not in log, name
    assert MARK in ran.failures[0]["message"]
    assert any(value[-1].get("redacted") for record in ran.of("call") for value in record[6].values())
