"""What passing candidates do elsewhere: programs that differ are told apart, and agreement counts."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
from attrs import evolve

from backtrail_model.repair import repair
from backtrail_model.repair.behaviour import Behaviour, observe, subject_of
from backtrail_model.repair.candidates import Candidate, Prompted, candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.votes import Votes
from backtrail_tracer.verify import Verifier
from tests.model import real
from tests.model.test_search import FakeProposer

FILES = {
    "pick.py": '''
        def total(values):
            """Adds them.

            >>> total([4, 5])
            9
            >>> total([])
            0
            """
            print("working")
            return values[0]
    ''',
    "test_pick.py": """
        from pick import total

        def test_total():
            assert total([2, 2]) == 4
    """,
}
RETURN = "return values[0]"


def changed(context: RepairContext, text: str, prompt: str = "") -> Candidate:
    (original,) = context.originals.values()
    start = original.text.index(RETURN)
    made = candidate(original, start, start + len(RETURN), text, proposer="p", promise=0.5)
    assert isinstance(made, Candidate)
    return evolve(made, prompted=Prompted("p", prompt, "")) if prompt else made


async def test_programs_are_told_apart_by_what_they_do(tmp_path: Path) -> None:
    project = await real.run(tmp_path, FILES, "pick.py")
    context = project.context()
    texts = ["return sum(values)", "return sum(values[:])", "return values[0] * 2", "return values.pop() * 2"]
    made = [changed(context, text) for text in [*texts, "while True: pass", "raise SystemExit"]]
    subject = subject_of(context, made[0])
    assert subject is not None
    assert subject.name == "total"
    assert {"values": [2, 2]} in subject.inputs
    assert len(subject.inputs) > 10
    async with Verifier(project.session, project.entry) as verifier:
        seen = [await observe(verifier, subject, one) for one in made]
    adds, again, doubles, pops, *endless = seen
    assert adds is not None and doubles is not None and pops is not None
    assert adds == again
    assert len({each.outcomes for each in (adds, doubles, pops)}) == 3
    assert (adds.examples, doubles.examples) == (2, 0)
    assert endless == [None, None]


@pytest.mark.parametrize(("prompts", "little"), [(("same",) * 5, True), (("one", "two", "three"), False)])
async def test_one_test_and_one_prompt_are_little_evidence(
    tmp_path: Path, prompts: tuple[str, ...], little: bool
) -> None:
    project = await real.run(
        tmp_path, {**FILES, "pick.py": FILES["pick.py"].replace(">>>", "so:")}, "pick.py"
    )
    context = project.context()

    class Said(FakeProposer):
        async def propose(self, context: RepairContext):  # type: ignore[no-untyped-def]
            for prompt in prompts:
                yield changed(context, "return sum(values)", prompt)

    async with Verifier(project.session, project.entry) as verifier:
        found = [fix async for fix in repair(context, [Said([])], verifier, budget_s=60)]
    best = found[-1]
    assert best.agreed >= 2.0
    assert best.little == little == ("little evidence" in best.title)


async def test_what_several_prompts_agree_on_replaces_what_fits_by_chance(tmp_path: Path) -> None:
    files = {**FILES, "pick.py": FILES["pick.py"].replace(">>>", "so:")}
    project = await real.run(tmp_path, files, "pick.py")
    context = project.context()

    class Said(FakeProposer):
        async def propose(self, context: RepairContext):  # type: ignore[no-untyped-def]
            yield changed(context, "return values[0] * 2", "first prompt")
            yield changed(context, "return sum(values)", "second prompt")
            yield changed(context, "return sum(x for x in values)", "third prompt")

    async with Verifier(project.session, project.entry) as verifier:
        found = repair(context, [Said([])], verifier, budget_s=60)
        async with aclosing(found) as running:
            fixes = [fix async for fix in running]
    best = fixes[-1]
    assert best.candidate.replacement == "return sum(values)"
    assert best.agreed == 2.0
    assert best.preferred
    assert "little evidence" not in best.title


def test_samples_of_one_prompt_are_not_independent() -> None:
    one = Candidate(Path("x"), "", 0, 0, "", "", "p", "", "one")
    other = evolve(one, key="other")
    votes = Votes()
    for _ in range(4):
        votes.add(evolve(one, prompted=Prompted("p", "same prompt", "")), by_model=True)
    assert votes.support("one", ["one"]) == (2.0, 1)
    votes.add(evolve(other, prompted=Prompted("p", "another prompt", "")), by_model=True)
    assert votes.support("other", ["one", "other"]) == (1.0, 1)
    for key in ("one", "other"):
        votes.observed(key, Behaviour(("a", "b")))
    assert votes.support("other", ["one", "other"]) == votes.support("one", ["one", "other"]) == (3.0, 2)
    votes.observed("other", Behaviour(("a", "c")))
    assert votes.support("other", ["one", "other"]) == (1.0, 1)
    assert (votes.count("one"), votes.count("other")) == (4, 1)


def test_blind_edits_weigh_little() -> None:
    votes = Votes()
    keys = [f"k{n}" for n in range(9)]
    for key in keys:
        votes.add(Candidate(Path("x"), "", 0, 0, "", "", "p", "", key), by_model=False)
        votes.observed(key, Behaviour(("a",)))
    assert votes.support("k0", keys) == (0.5, 0)
