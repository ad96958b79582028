"""`semcoder`: numbered steps in words, after SemCoder's forward monologue (Ding et al., arXiv 2406.01006).

In the paper a model speaks the monologue; here each step is written from the record, so that it is true.
The last step sets what was expected beside what came.
"""

from __future__ import annotations

from itertools import count

from backtrail_model.evidence import compared
from backtrail_model.evidence.difference import difference
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.representations import stream


def render(material: Material) -> Rendering:
    """The numbers are those of the whole run, so that a gap in them shows what was left out."""
    numbers = count(1)
    return stream.render(material, lambda moment: _write(moment, numbers), _outcome(material))


def _write(moment: stream.Moment, numbers: count[int]) -> str:
    rows = []
    if moment.first:
        given = ", ".join(f"{name} = {value}" for name, value in moment.frame.arguments.items())
        name = moment.frame.code.name.rpartition(".")[2]
        rows.append(f"{next(numbers)}. The function `{name}` is called with {given or 'no arguments'}.")
    rows.append(f"{next(numbers)}. {moment.where()}, `{moment.fact.source}`: {_effect(moment)}.")
    return "\n".join(rows)


def _effect(moment: stream.Moment) -> str:
    """What the line did, with the values it worked on where it changed none."""
    effect = moment.fact.effect or "it runs and changes nothing that was recorded"
    given = ", ".join(f"{name} = {text}" for name, text in moment.fact.reads.items())
    return f"with {given}: {effect}" if given else effect


def _outcome(material: Material) -> str:
    failure = material.failure
    expected, actual = compared.expected(failure), compared.actual(failure)
    if told := compared.check(material.failure):
        return f"The check fails: {told}."
    if expected is None or actual is None:
        return f"It ends with {failure.type}: {failure.message}".rstrip(": ") + "."
    told = difference(failure.expected, failure.actual)
    more = f" The difference is {told}." if told else ""
    return f"The test expected {expected}, but it got {actual}.{more}"
