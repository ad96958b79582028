"""Evidence from real runs: what each representation says, word for word; and the suspects."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import frozen

from backtrail_model.evidence import gather
from backtrail_model.evidence.difference import difference
from backtrail_model.evidence.tokens import estimate
from backtrail_model.explain import summary
from backtrail_tracer.trace import Value
from tests.model import real
from tests.model.handmade import text, total_recording


@frozen
class Sample:
    """A project, the file that is saved, and what is to be said of its first failure."""

    files: dict[str, str]
    saved: str
    slice: str
    next: str
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
    slice="""
        failing test: test_stats.py::test_mean
        assertion: assert mean(numbers) == 4
        call: mean([2, 4, 6])
        expected: 4
        actual: 6.0
        test_stats:L7#1: numbers = [2, 4, 6]  → numbers = [2, 4, 6]
        L2#1: total = 0  → total = 0
        L3#1: for value in values:  with values = [2, 4, 6]  → value = 2, goes on
        L4#1: total += value  with total = 0, value = 2  → total = 2
        L4#3: total += value  with total = 6, value = 6  → total = 12
        L3#4: for value in values:  with values = [2, 4, 6]  → ends
        L5#1: return total / (len(values) - 1)  with total = 12, values = [2, 4, 6]  → returns 6.0
        (3 more recorded hits are not shown)
        """,
    next="""
        failing test: test_stats.py::test_mean
        assertion: assert mean(numbers) == 4
        call: mean([2, 4, 6])
        expected: 4
        actual: 6.0
        def mean(values):
            total = 0  # (0) total = 0
            for value in values:  # (0) value = 2, goes on; (1) value = 4, goes on; …; (2) ends
                total += value  # (0) total = 2; (1) total = 6; (2) total = 12
            return total / (len(values) - 1)  # (0) returns 6.0
        """,
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
    slice="""
        failing test: tests/test_bank.py::test_balance
        assertion: assert balance(['a;3 EUR', 'b;4 EUR']) == 7
        call: balance(['a;3 EUR', 'b;4 EUR'])
        exception: TypeError: unsupported operand type(s) for +=: 'int' and 'str'
        raised at: line 7 in balance, with lines = ['a;3 EUR', 'b;4 EUR'], total = 0, line = 'a;3 EUR', \
name = 'a', value = '3'
        L4#1: total = 0  → total = 0
        L5#1: for line in lines:  with lines = ['a;3 EUR', 'b;4 EUR']  → line = 'a;3 EUR', goes on
        L6#1: name, value = row(line)  with line = 'a;3 EUR'  → name = 'a', value = '3'
        parse:L5#1: name, rest = line.split(';')  with line = 'a;3 EUR'  → name = 'a', rest = '3 EUR'
        parse:L6#1: return (name, amount(rest))  with name = 'a', rest = '3 EUR'  → returns ('a', '3')
        parse:L2#1: return text.strip(' EUR')  with text = '3 EUR'  → returns '3'
        L7#1: total += value  with total = 0, value = '3'  → raises TypeError: \
unsupported operand type(s) for +=: 'int' and 'str'
        """,
    next="""
        failing test: tests/test_bank.py::test_balance
        assertion: assert balance(['a;3 EUR', 'b;4 EUR']) == 7
        call: balance(['a;3 EUR', 'b;4 EUR'])
        exception: TypeError: unsupported operand type(s) for +=: 'int' and 'str'
        raised at: line 7 in balance, with lines = ['a;3 EUR', 'b;4 EUR'], total = 0, line = 'a;3 EUR', \
name = 'a', value = '3'
        def balance(lines):
            total = 0  # (0) total = 0
            for line in lines:  # (0) line = 'a;3 EUR', goes on
                name, value = row(line)  # (0) name = 'a', value = '3'
                total += value  # (0) raises TypeError: unsupported operand type(s) for +=: 'int' and 'str'
            return total
        def amount(text):
            return text.strip(" EUR")  # (0) returns '3'
        def row(line):
            name, rest = line.split(";")  # (0) name = 'a', rest = '3 EUR'
            return name, amount(rest)  # (0) returns ('a', '3')
        """,
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
    slice="""
        failing test: words.longest
        assertion: >>> longest(["a", "bbb", "cc"])
        call: longest(['a', 'bbb', 'cc'])
        expected: 'bbb'
        actual: ''
        L7#1: best = ''  → best = ''
        L8#1: for word in words:  with words = ['a', 'bbb', 'cc']  → word = 'a', goes on
        L9#1: if len(word) < len(best):  with best = '', word = 'a'  → not taken
        L9#3: if len(word) < len(best):  with best = '', word = 'cc'  → not taken
        L8#4: for word in words:  with words = ['a', 'bbb', 'cc']  → ends
        L11#1: return best  with best = ''  → returns ''
        (3 more recorded hits are not shown)
        """,
    next='''
        failing test: words.longest
        assertion: >>> longest(["a", "bbb", "cc"])
        call: longest(['a', 'bbb', 'cc'])
        expected: 'bbb'
        actual: ''
        def longest(words):
            """The longest word.

            >>> longest(["a", "bbb", "cc"])
            'bbb'
            """
            best = ""  # (0) best = ''
            for word in words:  # (0) word = 'a', goes on; (1) word = 'bbb', goes on; …; (2) ends
                if len(word) < len(best):  # (0) not taken; (1) not taken; (2) not taken
                    best = word
            return best  # (0) returns ''
        ''',
    summary="`longest(['a', 'bbb', 'cc'])` returned '', expected 'bbb'.",
    suspects=(("words.py", 9),),
)

SAMPLES = {"mean": MEAN, "ledger": LEDGER, "longest": LONGEST}


@pytest.mark.parametrize("name", SAMPLES)
async def test_what_is_said_of_a_real_failure(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    project = await real.run(tmp_path, sample.files, sample.saved)
    (failure,) = project.trace.failures

    def said(representation: str) -> str:
        return gather(project.trace, failure, project.source_of, representation=representation).to_text()

    assert said("slice") == text(sample.slice).strip()
    assert said("next") == text(sample.next).strip()
    outcome = said("fact")
    assert outcome
    assert said("slice").startswith(outcome)
    assert said("none") == ""
    assert sample.summary in summary(gather(project.trace, failure, project.source_of))
    ranked = [(s.path.name, s.line) for s in project.context().suspects]
    assert set(ranked[: len(sample.suspects)]) == set(sample.suspects)


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
    with pytest.raises(ValueError, match="fact, next, none, slice"):
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
