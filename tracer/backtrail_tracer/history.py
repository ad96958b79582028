"""The recorded past of a run, asked by what depends on what: who wrote a name last, what ran during a line.

A name is looked up within its frame. What a frame does not hold itself, it has from its caller, from a
function around it, from its module, or from a module that was imported.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from backtrail_tracer import statements
from backtrail_tracer.statements import Statement, Statements
from backtrail_tracer.trace import Frame, Hit, Trace, Value

SourceOf = Callable[[Path], str]
"""The text of a file as it ran. May raise OSError; the file's own statements are then unknown."""

FAR_BACK = 50
"""How many hits before its last one the `return` of a frame is looked for."""
_END = 1 << 60


class History:
    """Answers about the recorded past: what a name held, what ran when. Built once for a trace."""

    def __init__(self, trace: Trace, source_of: SourceOf) -> None:
        self.trace = trace
        self._source_of = source_of
        self._parsed: dict[Path, Statements] = {}
        self._hits: dict[int, list[Hit]] = {}
        self._writers: dict[int, dict[str, list[Hit]]] = {}
        self._headers: dict[int, list[list[Hit]]] = {}
        self._callees: dict[int, list[Frame]] = {}
        self._during: dict[int, dict[int, Hit]] = {}
        self._outer: dict[tuple[Path, str], list[Frame]] = {}
        self._names: dict[int, frozenset[str]] = {}
        self._shared: dict[Path, dict[str, list[Hit]]] = {}
        self._list_hits()
        for frame in trace.frames.values():
            if (site := self.call_site(frame)) is not None:
                self._callees.setdefault(site.order, []).append(frame)
        self._capped = self._capped_functions()

    def _list_hits(self) -> None:
        """By frame; and for each hit the last hit of each frame that ran under it, until it ended."""
        for hit in sorted(self.trace.hits, key=lambda hit: hit.order):
            parent = self.trace.frames[hit.frame].parent
            above = self._hits.get(parent) if parent is not None else None
            if above:
                self._during.setdefault(above[-1].order, {})[hit.frame] = hit
            self._hits.setdefault(hit.frame, []).append(hit)

    def _capped_functions(self) -> set[tuple[Path, int]]:
        """(file, first line) of the functions in which a line reached its cap."""
        found = ((cap.path, self.statements(cap.path).at(cap.line)) for cap in self.trace.caps)
        return {(path, statement.function_line) for path, statement in found if statement is not None}

    def statements(self, path: Path) -> Statements:
        if path not in self._parsed:
            self._parsed[path] = statements.parse(self.text(path))
        return self._parsed[path]

    def text(self, path: Path) -> str:
        """The source as it ran; empty when it cannot be had."""
        try:
            return self._source_of(path)
        except OSError:
            return ""

    def statement(self, hit: Hit) -> Statement | None:
        return self.statements(self.path(hit)).at(hit.line)

    def path(self, hit: Hit) -> Path:
        return self.trace.frames[hit.frame].code.path

    def hits(self, frame: int) -> list[Hit]:
        return self._hits.get(frame, [])

    def headers(self, frame: int, order: int) -> Iterator[tuple[Hit, Statement]]:
        """The last hit before `order` of each compound header of a frame, latest first."""
        if frame not in self._headers:
            table: dict[int, list[Hit]] = {}
            for hit in self.hits(frame):
                header = self.statements(self.path(hit)).header_at(hit.line)
                if header is not None:
                    table.setdefault(header.line, []).append(hit)
            self._headers[frame] = list(table.values())
        last = (_last_before(hits, order) for hits in self._headers[frame])
        for hit in sorted((hit for hit in last if hit is not None), key=lambda hit: -hit.order):
            header = self.statements(self.path(hit)).header_at(hit.line)
            if header is not None:
                yield hit, header

    def following(self, hit: Hit) -> Hit | None:
        """The next hit of the same frame."""
        hits = self.hits(hit.frame)
        at = bisect_right(hits, hit.order, key=lambda one: one.order)
        return hits[at] if at < len(hits) else None

    def value(self, frame: int, name: str, order: int) -> Value | None:
        """What `name` held when the hit of that order was about to run, as far as recorded."""
        return self.trace.variable(self.trace.frames[frame], name, order)

    def definition(self, frame: int, name: str, order: int) -> Hit | None:
        """The hit before `order` that last wrote `name`, by the record or by the text of its statement."""
        return _last_before(self._writers_of(frame).get(name, []), order)

    def _writers_of(self, frame: int) -> dict[str, list[Hit]]:
        if frame not in self._writers:
            table: dict[str, list[Hit]] = {}
            for hit in self.hits(frame):
                covering = self.statements(self.path(hit)).covering(hit.line) if hit.raised is None else ()
                if covering and self._ended_loop(hit, covering[-1]):
                    covering = ()  # it came to the end, and bound nothing
                by_text = {name for statement in covering for name in statement.writes}
                mutated = {name for statement in covering for name in statement.mutates}
                for name in by_text | set(hit.changed) | self._aliases(hit, mutated):
                    table.setdefault(name, []).append(hit)
            self._writers[frame] = table
        return self._writers[frame]

    def _ended_loop(self, hit: Hit, statement: Statement) -> bool:
        if not isinstance(statement.node, ast.For | ast.AsyncFor):
            return False
        after, body = self.following(hit), statement.node.body
        if after is None or body[0].lineno <= statement.end_line:
            return False
        return not body[0].lineno <= after.line <= (body[-1].end_lineno or 0)

    def _aliases(self, hit: Hit, mutated: set[str]) -> set[str]:
        """The names of the frame that hold the very objects which the hit changes, though it may not show."""
        held = (self.value(hit.frame, name, hit.order) for name in mutated)
        ids = {value.id for value in held if value is not None and value.id is not None}
        if not ids:
            return set()
        values = ((name, self.value(hit.frame, name, hit.order)) for name in self._names_of(hit.frame))
        return {name for name, value in values if value is not None and value.id in ids}

    def _names_of(self, frame: int) -> frozenset[str]:
        if frame not in self._names:
            told = (name for hit in self.hits(frame) for name in (*hit.changed, *hit.found))
            self._names[frame] = frozenset((*self.trace.frames[frame].arguments, *told))
        return self._names[frame]

    def shared_definition(self, path: Path, name: str, order: int) -> Hit | None:
        """The last hit before `order`, in any function of a file, that wrote a name which is not its own."""
        if path not in self._shared:
            table: dict[str, list[Hit]] = {}
            for hit in self.trace.hits:
                if self.path(hit) == path and hit.raised is None:
                    for name_ in self._shared_writes(hit):
                        table.setdefault(name_, []).append(hit)
            self._shared[path] = table
        return _last_before(self._shared[path].get(name, []), order)

    def _shared_writes(self, hit: Hit) -> Iterator[str]:
        of_file = self.statements(self.path(hit))
        for statement in of_file.covering(hit.line):
            for name in statement.writes:
                if not of_file.is_local(name, statement.function, statement.function_line):
                    yield name

    def imported(self, hit: Hit, name: str) -> Hit | None:
        """Where the module wrote a name that the hit, a `from … import …`, took from it."""
        statement = self.statement(hit)
        if statement is None or not isinstance(statement.node, ast.ImportFrom):
            return None
        theirs = next((a.name for a in statement.node.names if (a.asname or a.name) == name), name)
        stem = (statement.node.module or "").rpartition(".")[2]
        modules = (f for f in self.trace.frames.values() if f.code.name == "<module>")
        named = (f for f in modules if stem in (f.code.path.stem, f.code.path.parent.name))
        found = (self.definition(f.id, theirs, _END) for f in named)
        return next((one for one in found if one is not None and one.order != hit.order), None)

    def outer_frames(self, frame: Frame) -> list[Frame]:
        """The frames of the same file whose variables the code of `frame` can see."""
        key = (frame.code.path, frame.code.name)
        if key not in self._outer:
            self._outer[key] = [
                one
                for one in self.trace.frames.values()
                if one.code.path == frame.code.path
                and (one.code.name == "<module>" or frame.code.name.startswith(one.code.name + "."))
            ]
        return [one for one in self._outer[key] if one.id != frame.id]

    def call_site(self, frame: Frame) -> Hit | None:
        """The hit of the caller during which `frame` was entered."""
        if frame.parent is None:
            return None
        own = self.hits(frame.id)
        callers = self.hits(frame.parent)
        if own:
            at = bisect_left(callers, own[0].order, key=lambda hit: hit.order)
        else:
            at = bisect_right(callers, frame.entered_us, key=lambda hit: hit.time_us)
        return callers[at - 1] if at else None

    def change_of(self, frame: int, id: int) -> tuple[Hit, str] | None:
        """The last hit of a frame that changed an object, and a name that the frame has for it.

        By the recorded value, or by the text of the statement where the change does not show in it.
        """
        found: list[tuple[Hit, str]] = []
        for name, hits in self._writers_of(frame).items():
            same = (hit for hit in reversed(hits) if self._changes_object(hit, name, id))
            found += [(hit, name) for hit in islice(same, 1)]
        return max(found, key=lambda one: one[0].order, default=None)

    def _changes_object(self, hit: Hit, name: str, id: int) -> bool:
        value = hit.changed.get(name) or self.value(hit.frame, name, hit.order)
        if value is None or value.id != id:
            return False
        covering = self.statements(self.path(hit)).covering(hit.line)
        return not any(name in one.binds and name not in one.mutates for one in covering)

    def raising(self, frame: int, order: int, first: int, last: int) -> Hit | None:
        """The last hit before `order` on the given lines that an exception left."""
        hits = self.hits(frame)
        at = bisect_left(hits, order, key=lambda hit: hit.order)
        inside = (hit for hit in reversed(hits[:at]) if first <= hit.line <= last)
        return next((hit for hit in inside if hit.raised is not None), None)

    def during(self, hit: Hit) -> list[Hit]:
        """The last hit of each frame that ran right under a hit: calls, and generators that it took from."""
        return list(self._during.get(hit.order, {}).values())

    def result_hits(self, frame: int, since: int, until: int) -> list[Hit]:
        """What a frame that ran between two orders gave to its caller, by its hits.

        Its last one; its `return`, if `finally` or `with` ran after it; of a generator what it yielded.
        """
        hits = self.hits(frame)
        end = bisect_right(hits, until, key=lambda hit: hit.order)
        returns = [h for h in hits[max(0, end - FAR_BACK) : end] if self._is(h, ast.Return)]
        first = bisect_right(hits, since, key=lambda hit: hit.order)
        yields = [h for h in hits[first:end] if (s := self.statement(h)) is not None and s.yields]
        found = (*hits[end - 1 : end], *returns[-1:], *yields)
        return list({hit.order: hit for hit in found}.values())

    def _is(self, hit: Hit, kind: type[ast.stmt]) -> bool:
        statement = self.statement(hit)
        return statement is not None and isinstance(statement.node, kind)

    def callees(self, hit: Hit) -> list[Frame]:
        """The frames that were entered while `hit` ran."""
        return self._callees.get(hit.order, [])

    def doubtful(self, frame: int, since: int, until: int) -> bool:
        """Whether lines of this frame's function may have run unrecorded between two orders."""
        code = self.trace.frames[frame].code
        if (code.path, code.first_line) not in self._capped:
            return False
        if self.trace.passes == 1:
            return True
        return any(since < hit.order <= until and hit.after_gap for hit in self.hits(frame))


def _last_before(hits: list[Hit], order: int) -> Hit | None:
    at = bisect_left(hits, order, key=lambda hit: hit.order)
    return hits[at - 1] if at else None
