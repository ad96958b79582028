"""Secrets do not reach the log, whatever they are inside of; ordinary values do."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backtrail_probe.redact import MARK, Redactor, entropy, looks_random
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
        "args0-default_map0-cli-COMMANDLINE",
        "test_invoked[opt_params12-args12-EngineType]",
        "--flag/--no-flag-opt_params14-args14-None-None-MissingParameter",
        "-" * 5000,  # in no time
    ],
)
def test_leaves_alone(text: str) -> None:
    assert Redactor({}).hide(text) == (text, False)


@given(st.randoms(use_true_random=False), st.integers(24, 64))
def test_random_text_with_dashes_in_it_is_hidden(random: Random, length: int) -> None:
    token = "".join(
        random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/", k=length)
    )
    assume(entropy(token) >= 4 and all(re.search(kind, token) for kind in ("[a-z]", "[A-Z]", "[0-9]")))
    assert looks_random(token)


HEX = "3f786850e387550fdab836ed7e6dc881de23001b"


def in_code(text: str) -> str:
    return Redactor({}).cover(text, lambda secret: "X" * len(secret))


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        (f'API_SECRET = "{HEX}"', HEX),
        (f"config['api_key'] = '{HEX}'", HEX),
        ('db = {"password": "hunter2"}', "hunter2"),
        ("connect(passwd='correct-horse')", "correct-horse"),
        (f"key = '{SECRETS['random']}'", SECRETS["random"]),
        (f"headers = {{'Authorization': 'Bearer abc1{HEX}'}}", HEX),
        (f"# for tests: {SECRETS['github']}", SECRETS["github"]),
    ],
)
def test_a_secret_in_source_text_is_covered_where_it_stands(source: str, secret: str) -> None:
    covered = in_code(source)
    assert secret not in covered and len(covered) == len(source)
    assert covered.partition("X")[0] == source[: covered.index("X")]


@pytest.mark.parametrize(
    "source",
    [
        "password = get_password(user)",
        "token = 'identifier'",
        "def expect(self, token: 'Token1234567890'): ...",
        "secret = compute(first_argument_number_1)",
        "class TestHTTPServerVersion2RequestHandling: pass",
        f"assert digest == '{HEX}'",
        "if not password or len(password) < 8:",
    ],
)
def test_code_is_left_alone(source: str) -> None:
    assert in_code(source) == source


def test_what_a_name_tells_to_be_a_secret_is_one_everywhere(tmp_path: Path) -> None:
    program = f"""
API_SECRET = "{HEX}"
def sign(text):
    return text + API_SECRET
signed = sign("to be signed: ")
holder = {{"password": "hunter2"}}
token = "identifier"
"""
    ran = run_probe(tmp_path, program)
    log = (tmp_path / "project-scratch" / "log").read_bytes()
    assert HEX.encode() not in log and b"hunter2" not in log
    last = ran.last_values()
    assert last["signed"][1] == repr("to be signed: " + MARK)
    assert last["token"][1] == "'identifier'", "a parser's token is not a secret"


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
