"""Code of an answer laid over a file."""

from __future__ import annotations

import pytest

from backtrail_model.repair.laid import laid
from backtrail_model.repair.source import Source
from tests.model.handmade import text

PLAIN = "def f(x):\n    return x\n"
CASES = {
    "an import that only looks like one of the file": (
        "import requests\n\ndef f(x):\n    return x\n",
        "import re\ndef f(x):\n    return re.escape(x)",
        "import requests\nimport re\n\ndef f(x):\n    return re.escape(x)\n",
    ),
    "an import of the file": (
        "import re\n" + PLAIN,
        "import re\ndef f(x):\n    return 1",
        "import re\ndef f(x):\n    return 1\n",
    ),
    "one line for one line": ("def f(x): return x\n", "def f(x): return -x", "def f(x):\n    return -x\n"),
    "one line for many": (PLAIN, "def f(x): return -x", "def f(x):\n    return -x\n"),
    "a method, its argument called otherwise": (
        text("""
            class A:
                def f(self, x):
                    'Doc.'
                    return x
            """),
        "def f(self, y):\n    y += 1\n    return y",
        text("""
            class A:
                def f(self, y):
                    'Doc.'
                    y += 1
                    return y
            """),
    ),
    "annotations of the file stay": (
        "def f(x: int) -> int:\n    return x\n",
        "def f(x):\n    return -x",
        "def f(x: int) -> int:\n    return -x\n",
    ),
    "a constant comes along, a call does not": (
        PLAIN,
        "LIMIT = 10**9 + 7\nVALUE = f(1)\ndef f(x):\n    return x % LIMIT\nprint(f(2))",
        "LIMIT = 10**9 + 7\ndef f(x):\n    return x % LIMIT\n",
    ),
    "a helper comes along": (
        PLAIN,
        "def g(x):\n    return -x\n\ndef f(x):\n    return g(x)",
        "def g(x):\n    return -x\ndef f(x):\n    return g(x)\n",
    ),
    "a decorated function inside": (
        PLAIN,
        "def f(x):\n    @cache\n    def g(): return x\n    return g()",
        "def f(x):\n    @cache\n    def g(): return x\n    return g()\n",
    ),
}


@pytest.mark.parametrize(("before", "answer", "after"), CASES.values(), ids=CASES)
def test_code_is_laid_over_a_file(before: str, answer: str, after: str) -> None:
    assert laid(Source(before), answer) == after


@pytest.mark.parametrize("answer", ["", "x = 1", "def g():\n    pass", "def f(:", PLAIN])
def test_code_that_changes_nothing(answer: str) -> None:
    assert laid(Source(PLAIN), answer) is None
