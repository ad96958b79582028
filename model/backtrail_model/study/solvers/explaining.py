"""The question of an `explain` task, and which line an answer says is wrong.

The form is the product's (`backtrail_model.explain`): sentences, and a last line that begins with "wrong:".
Two things differ, so that representations can be compared. The lines are numbered for all of them, or those
that number lines would be ahead by that alone. And ids of facts are asked for, and shown in the example, only
where the facts have some: the others would learn to invent them. The check that failed is part of the
question, so that `none` can be asked too.
"""

from __future__ import annotations

import re

from backtrail_model import prompts
from backtrail_model.explain import MOST_TOKENS
from backtrail_model.study.solvers.bench import Bench
from backtrail_model.study.solvers.wording import Message, message, section

__all__ = ["MOST_TOKENS", "concluded", "messages", "named"]

EXAMPLE_CHECK = "assert best([3, 8]) == 8"

_CITABLE = re.compile(r"^(?:[\w.-]+:)?L\d+#\d+: ", re.MULTILINE)
_CONCLUSION = re.compile(r"^[\s*_-]*wrong:[^\n]*", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(r"\b(?i:lines?)\s*`?(\d+)\b|\bL(\d+)\b")
_QUOTED = re.compile(r"`([^`\n]+)`")


def messages(program: str, facts: str, check: str) -> list[Message]:
    """What a model is asked. `facts` is what the representation says; `check` the statement that failed."""
    if _CITABLE.search(facts):
        system, answer = "study_explain_cited_system", "explain_example_assistant"
        shown = prompts.fill("study_explain_example_facts")
    else:
        system, answer, shown = "study_explain_system", "study_explain_example_assistant", ""
    example = _question(prompts.fill("study_explain_example_program"), shown, EXAMPLE_CHECK)
    return [
        message("system", prompts.fill(system)),
        message("user", example),
        message("assistant", prompts.fill(answer)),
        message("user", _question(program, facts, check)),
    ]


def _question(program: str, facts: str, check: str) -> str:
    return prompts.fill(
        "study_explain_user",
        program=numbered(program),
        facts=section("study_facts", facts),
        check=f"The check `{check}` failed." if check else "Its test failed.",
    )


def numbered(program: str) -> str:
    """The lines with their numbers, which are those of the facts: nothing at the start is cut away."""
    lines = program.rstrip().splitlines()
    width = len(str(len(lines)))
    return "\n".join(f"{number:>{width}}  {line}".rstrip() for number, line in enumerate(lines, 1))


def concluded(answer: str) -> str:
    """An answer up to its conclusion, which was asked for as the last line: small models go on all the same,
    and the product does not listen any more."""
    found = _CONCLUSION.search(answer)
    return answer[: found.end()] if found else answer


def named(bench: Bench, answer: str) -> str | None:
    """The number of the line that an answer concludes to be wrong: the first that its conclusion tells of,
    else the only line that holds what it quotes first. None when it names none."""
    found = _CONCLUSION.search(answer)
    if found is None:
        return None
    number = _LINE.search(found[0])
    if number is not None:
        return str(int(number[1] or number[2]))
    quoted = _QUOTED.search(found[0])
    return _only_line(bench.task.source, quoted[1]) if quoted else None


def _only_line(program: str, quoted: str) -> str | None:
    wanted = _squeezed(quoted)
    lines = enumerate(map(_squeezed, program.splitlines()), 1)
    holding = [number for number, line in lines if wanted and wanted in line]
    return str(holding[0]) if len(holding) == 1 else None


def _squeezed(text: str) -> str:
    return "".join(text.split()).removesuffix(":")
