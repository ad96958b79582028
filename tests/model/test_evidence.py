"""Evidence from real runs: what each representation says, word for word; and the suspects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import frozen

from backtrail_model.evidence import REPRESENTATIONS, gather
from backtrail_model.evidence.difference import difference
from backtrail_model.evidence.tokens import estimate
from backtrail_model.explain import summary
from backtrail_tracer.trace import Value
from tests.model import real
from tests.model.handmade import total_recording


@frozen
class Sample:
    """A project, the file that is saved, and what is to be said of its first failure.

    How each representation puts it is in goldens/NAME.REPRESENTATION.txt; with BACKTRAIL_REWRITE_GOLDENS=1
    in the environment these are written anew.
    """

    files: dict[str, str]
    saved: str
    summary: str
    suspects: tuple[tuple[str, int], ...]  # among the first of these is where the bug is


MEAN = Sample(
    files={
        "stats.py": """
            def mean(values):
                total = 0
                for value in values:
                    total += value
                return total / (len(values) - 1)
            """,
        "test_stats.py": """
            from stats import mean

            def test_zeros():
                assert mean([0, 0]) == 0

            def test_mean():
                numbers = [2, 4, 6]
                assert mean(numbers) == 4
            """,
    },
    saved="stats.py",
    summary="`mean([2, 4, 6])` returned 6.0, expected 4. The value came from line 5,",
    suspects=(("stats.py", 5),),
)

LEDGER = Sample(
    files={
        "bank/__init__.py": "",
        "bank/parse.py": """
            def amount(text):
                return text.strip(" EUR")

            def row(line):
                name, rest = line.split(";")
                return name, amount(rest)
            """,
        "bank/ledger.py": """
            from bank.parse import row

            def balance(lines):
                total = 0
                for line in lines:
                    name, value = row(line)
                    total += value
                return total
            """,
        "tests/test_bank.py": """
            from bank.ledger import balance

            def test_balance():
                assert balance(["a;3 EUR", "b;4 EUR"]) == 7
            """,
    },
    saved="bank/ledger.py",
    summary="TypeError: unsupported operand type(s) for +=: 'int' and 'str' at line 7 (`balance`).",
    suspects=(("ledger.py", 7), ("ledger.py", 6), ("ledger.py", 5), ("parse.py", 6), ("parse.py", 2)),
)

LONGEST = Sample(
    files={
        "words.py": '''
            def longest(words):
                """The longest word.

                >>> longest(["a", "bbb", "cc"])
                'bbb'
                """
                best = ""
                for word in words:
                    if len(word) < len(best):
                        best = word
                return best
            ''',
    },
    saved="words.py",
    summary="`longest(['a', 'bbb', 'cc'])` returned '', expected 'bbb'.",
    suspects=(("words.py", 9),),
)

ACCOUNT = Sample(
    files={
        "account.py": """
            class Account:
                def __init__(self, start):
                    self.balance = start
                    self.paid = []

                def pay(self, amount):
                    self.balance -= amount
                    self.paid.append(amount)

            def left(payments, start):
                account = Account(start)
                for payment in payments:
                    account.pay(payment)
                    rest = account.balance - 20
                return account.balance
            """,
        "test_account.py": """
            from account import left

            def test_left():
                assert left([3, 4, 5, 6, -1, 12, 7], 30) == 1
            """,
    },
    saved="account.py",
    summary="`left([3, 4, 5, 6, -1, 12, 7], 30)` returned -6, expected 1.",
    suspects=(),
)

SAMPLES = {"mean": MEAN, "ledger": LEDGER, "longest": LONGEST, "account": ACCOUNT}
GOLDENS = Path(__file__).parent / "goldens"
REWRITE = bool(os.environ.get("BACKTRAIL_REWRITE_GOLDENS"))


@pytest.mark.parametrize("name", SAMPLES)
async def test_what_is_said_of_a_real_failure(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    project = await real.run(tmp_path, sample.files, sample.saved)
    (failure,) = project.trace.failures

    for representation in REPRESENTATIONS:
        evidence = gather(project.trace, failure, project.source_of, representation=representation)
        golden = GOLDENS / f"{name}.{representation}.txt"
        said = f"{evidence.to_text()}\n--- left out\n{evidence.omitted_text()}".rstrip() + "\n"
        if REWRITE:
            golden.write_text(said, encoding="utf-8")
        assert said == golden.read_text(encoding="utf-8"), representation
    assert sample.summary in summary(gather(project.trace, failure, project.source_of))
    ranked = [(s.path.name, s.line) for s in project.context().suspects]
    assert set(ranked[: len(sample.suspects)]) == set(sample.suspects)


@pytest.mark.parametrize("name", sorted(set(REPRESENTATIONS) - {"none", "fact"}))
@pytest.mark.parametrize("budget", [0, 25, 60, 10_000])
def test_every_representation_keeps_to_the_budget_and_knows_what_it_left_out(name: str, budget: int) -> None:
    run = total_recording()
    cut = gather(run.trace(), run.failures[0], run.source_of, representation=name, budget=budget)
    full = gather(run.trace(), run.failures[0], run.source_of, representation=name, budget=10_000)
    code = estimate(shown_code(cut.body)) if name == "next" else 0
    closing = estimate(cut.body.splitlines()[-1]) if name == "semcoder" else 0
    assert estimate(cut.body) <= max(budget, closing) + code + 1
    every = {fact.id for fact in (*full.facts, *full.omitted)}
    assert {fact.id for fact in (*cut.facts, *cut.omitted)} == every
    assert not {fact.id for fact in cut.facts} & {fact.id for fact in cut.omitted}
    assert cut.omitted_text().count("\n") + 1 == max(1, cut.left_out)


def shown_code(body: str) -> str:
    return "\n".join(line.partition("  #")[0] for line in body.splitlines())


@pytest.mark.parametrize("budget", [0, 20, 60, 300])
def test_the_budget_is_kept_and_what_is_left_out_is_counted(budget: int) -> None:
    run = total_recording()
    full = gather(run.trace(), run.failures[0], run.source_of, budget=10_000)
    cut = gather(run.trace(), run.failures[0], run.source_of, budget=budget)
    assert estimate(cut.body) <= budget
    assert len(cut.facts) + cut.left_out == len(full.facts) + full.left_out
    if cut.facts and len(cut.facts) < len(full.facts):
        assert min(f.distance for f in full.facts) in {f.distance for f in cut.facts}, "the nearest stay"


def test_ids_are_unique_and_found() -> None:
    run = total_recording()
    evidence = gather(run.trace(), run.failures[0], run.source_of)
    ids = [fact.id for fact in evidence.facts]
    assert len(ids) == len(set(ids))
    assert all(evidence.fact(id) is not None for id in ids)
    assert evidence.fact("L99#1") is None


def test_an_unknown_representation_names_the_known_ones() -> None:
    run = total_recording()
    with pytest.raises(ValueError, match="code_executor, concise, fact, next, none, semcoder, slice"):
        gather(run.trace(), run.failures[0], run.source_of, representation="nxt")


def test_a_failure_without_any_record_still_says_what_is_known() -> None:
    run = total_recording()
    failure = run.failures[0]
    run.hits.clear()
    evidence = gather(run.trace(), failure, run.source_of)
    assert "expected: 1" in evidence.to_text()
    assert "test_total" in summary(evidence)


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        ("[1, 2, 3]", "[1, 5, 3]", "at [1]: expected 2, got 5"),
        ("[1, 2, 3]", "[1]", "at the top: expected 3 items, got 1; missing: [2, 3]"),
        ("[1]", "[1, 2]", "at the top: expected 1 items, got 2; too many: [2]"),
        ("[1, 2]", "[2, 1]", "at the top: the same items in another order, first at [0]"),
        ("{'a': {'b': 1}}", "{'a': {'b': 2}}", "at ['a']['b']: expected 1, got 2"),
        ("{'a': 1}", "{}", "at the top: missing key 'a'"),
        ("{1, 2}", "{2}", ""),
        ("[1, '2']", "[1, 2]", "at [1]: expected str '2', got int 2"),
        (
            "'abcdefghij'",
            "'abcdefghik'",
            "at the top: from character 9: expected 'defghij', got 'defghik'",
        ),
        ("[1, 2, 3]", "[0, 2, 4]", "at [0]: expected 1, got 0; at [2]: expected 3, got 4"),
        (
            "[1, 2, 3, 4]",
            "[5, 6, 7, 8]",
            "at [0]: expected 1, got 5; at [1]: expected 2, got 6; at [2]: expected 3, got 7; and more",
        ),
        ("{'a': 1, 'b': [1]}", "{'b': [2]}", "at the top: missing key 'a'; at ['b'][0]: expected 1, got 2"),
        ("3", "4", ""),
        ("<object>", "<other>", ""),
    ],
)
def test_the_difference_of_two_values(expected: str, actual: str, said: str) -> None:
    def value(text: str) -> Value:
        return Value(type="x", text=text)

    found = difference(value(expected), value(actual))
    assert found == said or (said == "" and found.startswith(": "))


def test_the_same_text_of_another_type() -> None:
    assert "expected a Decimal and got a float" in difference(Value("Decimal", "1.0"), Value("float", "1.0"))
