"""The proposers: what they ask a model and make of its answers; and repairs that are really run."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from textwrap import indent

import pytest

from backtrail_model.client import ModelClient
from backtrail_model.evidence import endless, gather
from backtrail_model.repair import Fix, RepairContext, prepare, repair, standard
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.proposers import (
    Completion,
    Infill,
    Instruct,
    Mutations,
    Proposer,
    Rewrite,
    Schedule,
)
from backtrail_tracer.trace import Item
from backtrail_tracer.verify import Verifier
from tests.model import real
from tests.model.handmade import MODULE, TESTS, Recording, text, total_recording
from tests.model.test_evidence import LEDGER, LONGEST, MEAN
from tests.model.test_search import FakeVerdict
from tests.scripted_host import ScriptedHost


def context() -> RepairContext:
    run = total_recording()
    return prepare(run.trace(), run.failures[0], run.source_of, seed=5)


async def proposed(proposer: Proposer, given: RepairContext) -> list[Candidate]:
    async with aclosing(proposer.propose(given)) as running:
        return [one async for one in running]


async def run_and_failed(proposer: Proposer, given: RepairContext) -> list[Candidate]:
    """What is proposed when every candidate is run, and fails."""
    found = []
    async with aclosing(proposer.propose(given)) as running:
        async for one in running:
            found.append(one)
            given.attempts.note(one, FakeVerdict((), status="failed"))
    return found


def failing(source: str, *lines: int) -> RepairContext:
    """A context in which `f(a, b)` ran these lines and gave a wrong result."""
    run = Recording(
        {MODULE: text(source), TESTS: "from shop import f\n\ndef test_f():\n    assert f(1, 2) == 3\n"}
    )
    run.begin("test_shop.py::test_f", 3)
    test = run.call(TESTS, "test_f", 3)
    run.line(test, 4, raised="AssertionError: ")
    frame = run.call(MODULE, "f", 1, test, a=1, b=2)
    for line in lines:
        run.line(frame, line)
    run.leave(frame, 0)
    run.fail((test, 4), expected=3, actual=0)
    return prepare(run.trace(), run.failures[0], run.source_of)


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("return a < b", "return a <= b"),
        ("return a - b", "return a + b"),
        ("return a - b", "return b - a"),
        ("return (a) and (b)", "return (a) or (b)"),
        ("return a // b", "return a / b"),
        ("return a if b else 0", "return 0 if b else a"),
        ("return not a", "return a"),
        ("return range(a)", "return range(a + 1)"),
        ("return g(a, b)", "return g(b, a)"),
        ("return x[a]", "return x[a - 1]"),
        ("return x[:a]", "return x[:a + 1]"),
        ("return a", "return b"),
        ("return max(a, b)", "return min(a, b)"),
        ("return True", "return False"),
        ("return 3", "return 4"),
        ("return a == b or b", "return a == b"),
        ("return x not in a", "return x in a"),
        ("return x in a", "return a in x"),
        ("return a * b * x * y", "return a * b"),
        ("return 'yes'", "return 'Yes'"),
        ("return a.lower()", "return a.swapcase()"),
        ("if not (a): b = a", "if a: b = a"),
        ("while a < b: a += 1", "while a <= b: a += 1"),
        ("g(a)", "return g(a)"),
        ("a += b", "a -= b"),
        ("a = b", "a += b"),
        ("return 'ü' + (a < b)", "return 'ü' + (a <= b)"),
        ("x[a] = b", "x[a] = x.get(a, 0) + b"),
        ("x[a] = b", "x[a] += b"),
        ("x[a] += b", "x[a] = x.get(a, 0) + b"),
        ("x.y = b", "x.y += b"),
        ("a = b", "a = max(a, b)"),
        ("return x[a:]", "return x[:a]"),
        ("return x[1:a]", "return x[1:]"),
        ("return x[a][b]", "return x[b][a]"),
        ("return sorted(a)", "return sorted(a, reverse=True)"),
        ("return g(a, key=b)", "return g(a)"),
        ("return a.get(b)", "return a.get(b, 0)"),
        ("a.append(b)", "a.extend(b)"),
        ("a.strip()", "a = a.strip()"),
        ("return a + b * 2", "return (a + b) * 2"),
        ("return a - b - 1", "return a - (b - 1)"),
        ("return a, b", "return b, a"),
        ("return f(a)", "return f(a - 1)"),
        ("return a and b", "return a and not b"),
        ("return [x for x in a if b]", "return [x for x in a if not b]"),
        ("a = b; b = a", "a = b; pass"),
        ("return 1 if a else 2", "return 2 if a else 2"),
        ("return a", "return sorted(a)"),
        ("for x in a: b += x", "for x in a[1:]: b += x"),
        ("a.b = 1", "pass"),
    ],
)
async def test_mutations_of_a_statement(statement: str, wanted: str) -> None:
    found = await proposed(Mutations(), failing(f"def f(a, b):\n    {statement}\n", 2))
    assert f"def f(a, b):\n    {wanted}\n" in {one.text for one in found}


async def test_a_return_is_moved_out_of_its_loop() -> None:
    source = """
        def f(a, b):
            for x in a:
                b += x
                return b
        """
    found = await proposed(Mutations(), failing(source, 2, 3, 4))
    moved = text(source).replace("        return b", "    return b")
    assert moved in {one.text for one in found}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("a += 1\nb = a", "a += 1\nb = a\nreturn a"),
        ("for x in b:\n    a += x\nprint(a)\nreturn a", "for x in b:\n    a += x\n    print(a)\nreturn a"),
        ("a += b\nb += 1\nreturn a", "b += 1\na += b\nreturn a"),
        ("if a:\n    b = 1\n    a = 2\nreturn a", "if a:\n    b = 1\na = 2\nreturn a"),
        ("return b[0]", "if not b:\n    return 3\nreturn b[0]"),
        ("return f'{a} {b:>3}'", ""),
        (
            "c = d = 0\nodd = 0\nfor x in b:\n    if x % 2:\n        c += 1\nreturn c, odd",
            "c = d = 0\nodd = 0\nfor x in b:\n    if x % 2:\n        c += 1\n"
            "    else:\n        odd += 1\nreturn c, odd",
        ),
        (
            "c = []\nrest = list()\nfor x in b:\n    if x > a:\n        c.append(x)\nreturn c, rest",
            "c = []\nrest = list()\nfor x in b:\n    if x > a:\n        c.append(x)\n"
            "    else:\n        rest.append(x)\nreturn c, rest",
        ),
    ],
)
async def test_mutations_of_a_block(source: str, wanted: str) -> None:
    indented = ["def f(a, b):\n" + indent(each, "    ") + "\n" for each in (source, wanted)]
    lines = range(2, 3 + source.count("\n"))
    found = {one.text for one in await proposed(Mutations(), failing(indented[0], *lines))}
    assert indented[1] in found or not wanted
    for each in found:
        compile(each, "shop.py", "exec")


async def test_mutations_come_in_order_of_promise_and_are_bounded() -> None:
    found = await proposed(Mutations(most=7), context())
    assert 0 < len(found) <= 7
    promises = [one.promise for one in found]
    assert promises == pytest.approx(sorted(promises, reverse=True))


async def test_infilling_shows_the_function_around_the_hole() -> None:
    with ScriptedHost(fill=lambda before, after: "result += price\nreturn 1") as host:
        async with ModelClient(host.url, host.token) as client:
            given = context()
            found = await proposed(Infill(client, holes=1), given)
    (body,) = host.asked("/v1/completions")
    top = given.suspects[0]
    assert body["prompt"].startswith("def total(prices, limit):\n    result = 0\n")
    assert body["suffix"].endswith("    return result\n")
    assert body["stop"] == ["\n"]
    assert (body["n"], body["temperature"], body["max_tokens"]) == (6, 0.8, 40)
    assert top.statement.line == 6
    assert {one.replacement for one in found} == {"result += price"}, "the sample is cut at the line's end"
    assert found[0].prompted is not None
    assert "▁" in found[0].prompted.text
    assert given.attempts.prompts == [found[0].prompted]


async def test_every_hole_is_filled_and_where_a_guess_passed_comes_first() -> None:
    given = context()
    guess = next(one for one in await proposed(Mutations(), given) if one.note.startswith("line 2"))
    given.attempts.passed.append(guess)
    with ScriptedHost(fill=lambda before, after: "pass") as host:
        async with ModelClient(host.url, host.token) as client:
            await run_and_failed(Schedule([Infill(client)]), given)
    asked = [body["prompt"] for body in host.asked("/v1/completions")]
    line_2 = "def total(prices, limit):\n    "
    assert line_2 in asked[:2]
    assert len(set(asked)) == len(given.suspects)
    assert len(asked) == 2 * len(given.suspects), "once, and once more with other samples"


async def test_an_expression_is_a_hole_too() -> None:
    source = """
        def f(a, b):
            return sum([a, b]) + max(a, b, 10)
        """
    with ScriptedHost(fill=lambda before, after: "min(a, b)" + after.split("\n")[0]) as host:
        async with ModelClient(host.url, host.token) as client:
            found = await proposed(Infill(client, kind="expression", samples=1), failing(source, 2))
    asked = [(body["prompt"].splitlines()[-1], body["suffix"]) for body in host.asked("/v1/completions")]
    assert ("    return sum([a, b]) + ", "\n") in asked
    assert "    return sum([a, b]) + min(a, b)\n" in {one.text.split(":\n")[1] for one in found}
    assert "    return min(a, b) + max(a, b, 10)\n" in {one.text.split(":\n")[1] for one in found}


SHOP = """
    import math

    RATE = 3

    class Shop:
        def total(self, prices):
            \"\"\"All prices times the rate.\"\"\"
            return sum(prices)

    def f(a, b):
        \"\"\"The sum of both, times the rate.\"\"\"
        return a - RATE
    """


async def test_a_function_is_written_anew_from_what_it_says() -> None:
    code = """
        from functools import reduce

        def twice(x):
            return 2 * x

        def f(a, b):
            return twice(a) + RATE * b
        """
    answer = f"Sure:\n```python\n{text(code)}```"
    with ScriptedHost(reply=lambda messages: answer) as host:
        async with ModelClient(host.url, host.token) as client:
            (one,) = await proposed(Rewrite(client), failing(SHOP, 12))
    user = host.asked("/v1/chat/completions")[0]["messages"][1]["content"]
    assert 'def f(a, b):\n    """The sum of both, times the rate."""\n    ...\n' in user
    assert "RATE = 3" in user
    assert "assert f(1, 2) == 3" in user
    assert "a - RATE" not in user, "the wrong body is not shown"
    compile(one.text, "shop.py", "exec")
    assert "    return twice(a) + RATE * b\n" in one.text
    assert one.text.index("def twice(x):") < one.text.index("def f(a, b):")
    assert "The sum of both" in one.text


async def test_asking_again_costs_no_reading() -> None:
    """The host keeps a prompt, so more samples for one that was put are cheaper than for another."""
    given = failing(SHOP, 12)
    async with ModelClient("http://127.0.0.1:9", "") as client:
        several = [Rewrite(client, kind=kind, samples=8) for kind in ("specification", "correct")]
        before = [next(proposer.tasks(given)).cost_s for proposer in several]
        with ScriptedHost(reply=lambda messages: "nothing") as host:
            async with ModelClient(host.url, host.token) as asked:
                assert await proposed(Rewrite(asked), given) == []
        after = [next(proposer.tasks(given)).cost_s for proposer in several]
    assert after[0] < before[0] - 1
    assert after[1] == before[1]


async def test_a_body_is_continued_from_the_head_and_the_check() -> None:
    with ScriptedHost(fill=lambda before, after: "    both = a + b\n    return both * RATE\n") as host:
        async with ModelClient(host.url, host.token) as client:
            one, *same = await proposed(Completion(client), failing(SHOP, 12))
    asked = host.asked("/v1/completions")[0]
    prompt = asked["prompt"]
    assert prompt.endswith(
        '"""\nThe sum of both, times the rate.\n\nassert f(1, 2) == 3\n"""\ndef f(a, b):\n'
    )
    assert "RATE = 3" in prompt and "a - RATE" not in prompt
    assert "suffix" not in asked and asked["n"] == 8
    assert (
        '    """The sum of both, times the rate."""\n    both = a + b\n    return both * RATE\n' in one.text
    )
    assert {each.key for each in same} == {one.key}


async def test_without_a_docstring_there_is_nothing_to_continue_from() -> None:
    with ScriptedHost() as host:
        async with ModelClient(host.url, host.token) as client:
            assert await proposed(Completion(client), failing("def f(a, b):\n    return a\n", 2)) == []
    assert host.requests == []


async def test_a_correction_sees_the_function_and_what_happened() -> None:
    with ScriptedHost(reply=lambda messages: "```python\ndef f(a, b):\n    return a + b\n```") as host:
        async with ModelClient(host.url, host.token) as client:
            (one,) = await proposed(Rewrite(client, kind="correct"), failing(SHOP, 12))
    user = host.asked("/v1/chat/completions")[0]["messages"][1]["content"]
    assert "return a - RATE" in user
    assert "expected: 3\nactual: 0" in user
    assert "    return a + b\n" in one.text


async def test_insertion_keeps_the_statement() -> None:
    with ScriptedHost(fill=lambda before, after: "price = abs(price)") as host:
        async with ModelClient(host.url, host.token) as client:
            found = await proposed(Infill(client, holes=1, kind="insert"), context())
    assert (
        "            price = abs(price)\n" in found[0].text or "        price = abs(price)\n" in found[0].text
    )
    assert "result -= price" in found[0].text


async def test_a_statement_over_several_lines_is_one_hole() -> None:
    source = """
        def f(a, b):
            return sum(
                [a,
                 b, 1]
            )
        """
    with ScriptedHost(fill=lambda before, after: "return sum(\n        [a, b]\n    )\nleft = over(") as host:
        async with ModelClient(host.url, host.token) as client:
            found = await proposed(Infill(client, holes=1), failing(source, 2))
    assert host.asked("/v1/completions")[0]["prompt"] == "def f(a, b):\n    "
    assert found[0].replacement == "return sum(\n        [a, b]\n    )"


async def test_an_instruction_shows_code_and_facts_and_takes_an_edit() -> None:
    edit = "<<<<<<< SEARCH\n        result -= price\n=======\n        result += price\n>>>>>>> REPLACE"
    with ScriptedHost(reply=lambda messages: edit) as host:
        async with ModelClient(host.url, host.token) as client:
            (one,) = await proposed(Instruct(client), context())
    assert (one.replaced, one.replacement) == ("-", "+")
    user = host.asked("/v1/chat/completions")[0]["messages"][1]["content"]
    assert "result -= price" in user
    assert "expected: 1\nactual: -1" in user
    assert "test_shop.py::test_total" in user


async def test_the_second_round_shows_what_was_tried_and_what_came_of_it() -> None:
    given = context()
    with ScriptedHost(reply=lambda messages: "") as host:
        async with ModelClient(host.url, host.token) as client:
            proposer = Instruct(client, second_round=True)
            assert await proposed(proposer, given) == []
            assert host.requests == [], "there is nothing to show yet"
            tried = next(one for one in await proposed(Mutations(), given) if one.replacement == "=")
            failure = given.failure
            failed = Item(1, "test_shop.py::test_total", None, 0, "failed", 0.0)
            given.attempts.tried.append((tried, FakeVerdict((failed,), failures=(failure,), status="failed")))
            await proposed(proposer, given)
    user = host.asked("/v1/chat/completions")[0]["messages"][1]["content"]
    assert "-        result -= price\n+        result = price" in user
    assert "With it: expected 1, got -1" in user


async def test_a_host_that_is_gone_is_a_reason_and_no_error() -> None:
    given = context()
    async with ModelClient("http://127.0.0.1:9", model="m") as client:
        assert await proposed(Infill(client), given) == []
        assert await proposed(Instruct(client), given) == []
    assert len(given.attempts.skipped) == 2
    assert "no model host answers" in given.attempts.skipped[0]


def test_without_a_client_there_are_mutations() -> None:
    assert [one.name for one in standard(None)] == ["mutation", "pairs", "mend"]


async def fixed(project: real.Project, *proposers: Proposer) -> list[Fix]:
    async with Verifier(project.session, project.entry) as verifier:
        found = repair(
            project.context(), proposers, verifier, budget_s=60, settle_s=0.5, blind_settle_s=0.5, questions=0
        )
        async with aclosing(found) as running:
            return [fix async for fix in running]


async def test_a_mutation_that_is_really_run(tmp_path: Path) -> None:
    project = await real.run(tmp_path, LONGEST.files, LONGEST.saved)
    before = (project.folder / "words.py").read_text(encoding="utf-8")
    fix = (await fixed(project, Mutations()))[-1]
    assert fix.title == "passes 1/1 test, little evidence, changes 1 line"
    assert fix.honest
    assert not fix.preferred, "one test and no second opinion"
    forms = ("len(word) > len(best)", "len(word) >= len(best)", "not (len(word) < len(best))")
    assert any(form in fix.diff for form in forms)
    assert (project.folder / "words.py").read_text(encoding="utf-8") == before


async def test_a_model_repairs_the_helper_that_did_not_raise(tmp_path: Path) -> None:
    project = await real.run(tmp_path, LEDGER.files, LEDGER.saved)

    def fill(before: str, after: str) -> str:
        return 'return int(text.strip(" EUR"))' if "def amount(text)" in before else "pass"

    with ScriptedHost(fill=fill) as host:
        async with ModelClient(host.url, host.token) as client:
            fix = (await fixed(project, Infill(client)))[-1]
    assert fix.candidate.path == project.folder / "bank" / "parse.py"
    assert fix.title == "passes 1/1 test, little evidence, changes 1 line", "one test, and one question"


async def test_a_candidate_that_loops_for_ever_is_ended(tmp_path: Path) -> None:
    project = await real.run(tmp_path, MEAN.files, MEAN.saved)

    def fill(before: str, after: str) -> str:
        if before.endswith("    total = 0\n    "):
            return "while True: pass"
        return "return total / len(values)" if "total += value" in before else "pass"

    with ScriptedHost(fill=fill) as host:
        async with ModelClient(host.url, host.token) as client:
            (fix, *_) = await fixed(project, Infill(client))
    assert fix.title == "passes 2/2 tests, changes 1 line"
    assert fix.seconds < 30


async def test_a_program_that_never_ends_is_repaired(tmp_path: Path) -> None:
    files = {
        "steps.py": """
            def steps(n):
                count = 0
                while n > 1:
                    n = n // 1
                    count += 1
                return count
            """,
        "test_steps.py": """
            from steps import steps

            def test_none():
                assert steps(1) == 0

            def test_steps():
                assert steps(8) == 3
            """,
    }
    project = await real.run(tmp_path, files, "steps.py", cpu_s=4)
    assert project.trace.failures == ()
    failure = endless(project.trace)
    assert failure is not None
    evidence = gather(project.trace, failure, project.source_of)
    assert "Endless" in evidence.to_text()
    assert evidence.test.name == "test_steps.py::test_steps"
    given = prepare(project.trace, failure, project.source_of)
    async with Verifier(project.session, project.entry) as verifier:
        found = repair(given, [Mutations()], verifier, budget_s=60, settle_s=0.5)
        async with aclosing(found) as running:
            fix = [one async for one in running][-1]
    assert fix.title == "passes 2/2 tests, changes 1 line"
    assert "n = n // 2" in fix.diff
