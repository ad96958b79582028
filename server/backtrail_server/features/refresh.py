"""Showing what is new in a project: diagnostics are pushed, hints and lenses are asked for again."""

from __future__ import annotations

from attrs import define

from backtrail_server.core import Project
from backtrail_server.editor import Editor
from backtrail_server.features.diagnostics import Diagnostics


@define(eq=False)
class Refresh:
    diagnostics: Diagnostics
    editor: Editor

    def project(self, project: Project) -> None:
        self.diagnostics.publish(project)
        self.editor.refresh()
