"""Diagnostics: each failure at the raising line of the person's innermost frame, where that line is now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server import convert, words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document
from backtrail_server.results import Ran, Shown, View, same_file

if TYPE_CHECKING:
    from backtrail_tracer.divergence import Divergence
    from backtrail_tracer.trace import FailureFrame, Hit

SOURCE = "backtrail"


@define(eq=False)
class Diagnostics:
    """Publishes what is new, and clears what is gone. Knows what each document was last told."""

    server: LanguageServer
    core: Core
    _told: dict[Path, dict[str, list[types.Diagnostic]]] = field(factory=dict)  # by root, then URI

    def publish(self, project: Project) -> None:
        """Tell the editor of every failure of a project that is not answered."""
        found = self._all(project)
        before = self._told.get(project.root, {})
        self._told[project.root] = found
        for uri in {**before, **found}:
            if before.get(uri, []) != found.get(uri, []):
                self._send(uri, found.get(uri, []))

    def _send(self, uri: str, found: list[types.Diagnostic]) -> None:
        document = self.core.editor.document(uri)
        version = document.version if document else None
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def _all(self, project: Project) -> dict[str, list[types.Diagnostic]]:
        found: dict[str, list[types.Diagnostic]] = {}
        for shown in project.results.failures():
            place = self._of_failure(shown)
            if place is not None:
                found.setdefault(place[0], []).append(place[1])
        for ran in project.results.latest():
            place = self._of_ending(ran)
            if place is not None:
                found.setdefault(place[0], []).append(place[1])
        return found

    def _of_failure(self, shown: Shown) -> tuple[str, types.Diagnostic] | None:
        frame = shown.failure.where
        located = self._locate(shown.ran, frame) if frame else None
        if frame is None or located is None:
            return None
        document, view, where = located
        message = words.failure_words(shown.failure)
        again = words.again_words(shown.ran.trace)
        if again:
            message += f"\n({again})"
        if view.old:
            message += "\n(from the run before your last edits)"
        related = list(self._related(shown))
        if not self.core.editor.can("text_document.publish_diagnostics.related_information"):
            frames = words.users_frames(shown.failure)
            message = "\n".join(
                [message, *(f"{f.path.name}:{f.line} {words.frame_words(f)}" for f in frames)]
            )
            found = told_divergence(shown)
            if found is not None:
                message += f"\n{found.path.name}:{found.line} {words.divergence_words(found)}"
            related = []
        return document.uri, types.Diagnostic(
            range=where,
            message=message,
            severity=types.DiagnosticSeverity.Error,
            code=shown.failure.type,
            source=SOURCE,
            related_information=related or None,
            data={"run": shown.ran.trace.run, "failure": shown.index},
        )

    def _related(self, shown: Shown) -> Iterator[types.DiagnosticRelatedInformation]:
        for frame in words.users_frames(shown.failure):
            located = self._locate(shown.ran, frame)
            if located is not None:
                location = types.Location(located[0].uri, located[2])
                yield types.DiagnosticRelatedInformation(location, words.frame_words(frame))
        found = told_divergence(shown)
        place = self._place(shown.ran, found.path, found.line) if found else None
        if found is not None and place is not None:
            yield types.DiagnosticRelatedInformation(place, words.divergence_words(found))

    def _place(self, ran: Ran, path: Path, line: int) -> types.Location | None:
        """Where a line of the text that ran is now."""
        document, text = self.core.document_of(path), ran.text(path)
        if document is None or text is None:
            return None
        now = View(ran, path, text, document.text).lines.now(line)
        if now is None:
            return None
        return types.Location(document.uri, convert.line_range(document.text, now, self.core.editor.encoding))

    def _locate(self, ran: Ran, frame: FailureFrame) -> tuple[Document, View, types.Range] | None:
        """Where a frame's line is in the text at hand; None when that line was edited since."""
        document, text = self.core.document_of(frame.path), ran.text(frame.path)
        if document is None or text is None:
            return None
        view = View(ran, frame.path, text, document.text)
        first = view.lines.now(frame.line)
        if first is None:
            return None
        last = view.lines.now(frame.end_line) or first
        encoding = self.core.editor.encoding
        where = convert.byte_range(document.text, (first, frame.col), (last, frame.end_col), encoding)
        return document, view, where

    def _of_ending(self, ran: Ran) -> tuple[str, types.Diagnostic] | None:
        """A run that was stopped: said at the last line that is known to have run."""
        message = words.ending_words(ran.trace)
        place = last_place(ran) if message and ran.trace.status not in ("cancelled", "usage") else None
        document = self.core.document_of(place[0]) if place else None
        text = ran.text(place[0]) if place else None
        if place is None or document is None or text is None:
            return None
        line = View(ran, place[0], text, document.text).lines.now(place[1])
        if line is None:
            return None
        return document.uri, types.Diagnostic(
            range=convert.line_range(document.text, line, self.core.editor.encoding),
            message=f"{message}. This is the last line that was recorded.",
            severity=types.DiagnosticSeverity.Warning,
            code=ran.trace.status,
            source=SOURCE,
        )


def told_divergence(shown: Shown) -> Divergence | None:
    """Where the run first differs from the last good one, unless that is the failure itself."""
    found, where = shown.divergence, shown.failure.where
    itself = (
        found and where and found.kind == "raised" and (found.path, found.line) == (where.path, where.line)
    )
    return None if itself else found


def last_place(ran: Ran) -> tuple[Path, int] | None:
    """Where the program said that it stood, else the file and line of the last recorded hit."""
    if ran.trace.place is not None:
        return ran.trace.place
    last: Hit | None = max(ran.trace.hits, key=lambda hit: hit.order, default=None)
    return (ran.trace.frames[last.frame].code.path, last.line) if last else None


def register(server: LanguageServer, core: Core) -> Diagnostics:
    """Diagnostics follow the text: they move with their lines, and vanish when their line is edited."""
    diagnostics = Diagnostics(server, core)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        path = convert.path_of(params.text_document.uri)
        if path is not None:
            project = core.project(path)
            if any(same_file(path, file) for ran in project.results.latest() for file in ran.trace.files):
                diagnostics.publish(project)

    return diagnostics
