"""From a trace and one of its failures to the evidence."""

from __future__ import annotations

import ast
from pathlib import Path

from backtrail_model.evidence import compared
from backtrail_model.evidence.compared import DOCTEST
from backtrail_model.evidence.difference import difference
from backtrail_model.evidence.evidence import Call, Evidence, Place, TestCase
from backtrail_model.evidence.facts import DULL_TYPES
from backtrail_model.evidence.lines import lines_of
from backtrail_model.evidence.material import Material
from backtrail_model.evidence.representations import DEFAULT, renderer
from backtrail_model.evidence.shown import code_of
from backtrail_model.testcode import TestCode, test_code
from backtrail_tracer.slicing import History, Slice, SourceOf, failure_hit, slice_failure
from backtrail_tracer.statements import Statement
from backtrail_tracer.trace import Cap, Failure, FailureFrame, Frame, Item, Trace

BUDGET = 300
"""Tokens of facts. The study found that more of a trace does not help a model."""
MOST_VALUES = 6  # of one frame of the traceback
LONGEST_TEST = 25  # lines of a test's source


def gather(
    trace: Trace,
    failure: Failure,
    source_of: SourceOf,
    *,
    representation: str = DEFAULT,
    budget: int = BUDGET,
) -> Evidence:
    """The evidence about one failure of a trace.

    `source_of` gives the text of a file as it ran. `budget` is in estimated tokens of facts; what did
    not fit is in `omitted`. Raises ValueError for an unknown representation.
    """
    history = History(trace, source_of)
    return gather_from(history, failure, slice_failure(history, failure), representation, budget)


def gather_from(
    history: History, failure: Failure, sliced: Slice, representation: str = DEFAULT, budget: int = BUDGET
) -> Evidence:
    """Like `gather`, for callers that need the slice themselves."""
    render = renderer(representation)
    tests = test_code(history.trace)
    main = _main_file(history, sliced, tests)
    material = Material(history, failure, sliced, tests, main, budget)
    made = render(material)
    places = [frame for frame in failure.frames if frame.traced]
    return Evidence(
        representation=representation,
        test=_test_case(history, failure),
        call=_call(history, failure, sliced, tests),
        expected=compared.expected(failure),
        actual=compared.actual(failure),
        difference=difference(failure.expected, failure.actual),
        check=compared.check(failure),
        exception=_exception(failure, tests),
        places=tuple(map(_place, places)),
        code=code_of(material),
        body=made.text,
        facts=made.facts,
        omitted=made.omitted,
        with_outcome=made.with_outcome,
        limits=_limits(history.trace, {fact.path for fact in made.facts}),
        lines=lines_of(material, made.facts, places),
    )


def _exception(failure: Failure, tests: TestCode) -> str:
    """Empty for a check of a test that failed: what it asked for says more."""
    where = failure.where
    in_test = where is None or failure.type == DOCTEST or tests.holds(where.path, where.name)
    compared = any(each is not None for each in (failure.expected, failure.actual, failure.check))
    return "" if compared and in_test else f"{failure.type}: {failure.message}".rstrip(": ")


def _main_file(history: History, sliced: Slice, tests: TestCode) -> Path | None:
    """The file of the nearest step outside the tests, whose facts then need no file name."""
    paths = [history.path(step.hit) for step in sliced.steps]
    outside = [
        path
        for path, step in zip(paths, sliced.steps, strict=True)
        if (statement := history.statement(step.hit)) and not tests.holds(path, statement.function)
    ]
    return next(iter([*outside, *paths]), None)


def _test_case(history: History, failure: Failure) -> TestCase:
    item = _item(history.trace, failure)
    outermost = next((frame for frame in failure.frames if frame.traced), None)
    path = item.path if item else outermost.path if outermost else None
    line = (item.line if item else 0) or (outermost.line if outermost else 0)
    place = next((f for f in failure.frames if f.traced and f.path == path), outermost)
    statement = history.statements(place.path).at(place.line) if place else None
    return TestCase(
        name=_name(item),
        path=path,
        line=line,
        source=_function_source(history, place) if place else "",
        assertion=_assertion(history, failure, place, statement),
    )


def _name(item: Item | None) -> str:
    """A script is an item named by its path, of which the last part will do."""
    if item is None:
        return "the program"
    return Path(item.name).name if Path(item.name).is_absolute() else item.name


def _assertion(
    history: History, failure: Failure, place: FailureFrame | None, statement: Statement | None
) -> str:
    if place is not None and failure.type == DOCTEST:
        lines = history.text(place.path).splitlines()[place.line - 1 : place.line]
        return "".join(lines).strip()
    return ast.unparse(statement.node) if statement and not statement.is_header else ""


def _item(trace: Trace, failure: Failure) -> Item | None:
    return next((item for item in trace.items if item.id == failure.item), None)


def _function_source(history: History, place: FailureFrame) -> str:
    """The test function, or its failing statement alone when it is long or at module level."""
    found = history.statements(place.path).at(place.line)
    if found is None:
        return ""
    lines = history.text(place.path).splitlines()
    if found.function != "<module>":
        inside = [one for one in history.statements(place.path) if one.function == found.function]
        first, last = found.function_line, max(one.last_line for one in inside)
        if last - first < LONGEST_TEST:
            return "\n".join(lines[first - 1 : last])
    return "\n".join(lines[found.line - 1 : found.end_line])


def _call(history: History, failure: Failure, sliced: Slice, tests: TestCode) -> Call | None:
    frame = _called_frame(history, failure, sliced, tests)
    if frame is None:
        return None
    plain = [(name, value.text) for name, value in frame.arguments.items() if name not in ("self", "cls")]
    return Call(
        function=frame.code.name,
        path=frame.code.path,
        line=frame.code.first_line,
        text=f"{_plain_name(frame)}({', '.join(text for _, text in plain)})",
        result=frame.result.text if frame.result and frame.left_by == "return" else None,
    )


def _plain_name(frame: Frame) -> str:
    return frame.code.name.replace("<locals>.", "")


def _called_frame(history: History, failure: Failure, sliced: Slice, tests: TestCode) -> Frame | None:
    """The frame through which the test entered the code under test on the way to the failure."""
    trace = history.trace

    def entered_from_test(frame: Frame) -> bool:
        parent = trace.frames.get(frame.parent) if frame.parent is not None else None
        outside = parent is None or tests.holds(parent.code.path, parent.code.name)
        return outside and not tests.holds(frame.code.path, frame.code.name) and "<" not in frame.code.name

    hit = failure_hit(history, failure)
    frame = trace.frames[hit.frame] if hit else None
    while frame is not None:
        if entered_from_test(frame):
            return frame
        frame = trace.frames.get(frame.parent) if frame.parent is not None else None
    reached = (trace.frames[step.hit.frame] for step in sliced.steps)
    return next((frame for frame in reached if entered_from_test(frame)), None)


def _place(frame: FailureFrame) -> Place:
    values = {
        name: v.text
        for name, v in frame.locals.items()
        if v.type not in DULL_TYPES and not name.startswith("@")
    }
    return Place(frame.path, frame.line, frame.name, dict(list(values.items())[:MOST_VALUES]))


def _kept(cap: Cap) -> str:
    if cap.last:
        return f"only the first {cap.kept} and the last {cap.last} of {cap.total:,} hits"
    return f"only the first {cap.kept} hits"


def _limits(trace: Trace, paths: set[Path]) -> tuple[str, ...]:
    caps = [cap for cap in trace.caps if cap.path in paths]
    said = [f"line {cap.line}: {_kept(cap)} were recorded" for cap in caps[:3]]
    return (*said, *trace.limits)
