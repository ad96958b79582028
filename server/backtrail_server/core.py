"""The state of one server: settings, projects, jobs, consent, and what has been found so far."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from backtrail_server import config
from backtrail_server.allowing import with_allowances
from backtrail_server.config import Loaded
from backtrail_server.editor import Document, Editor
from backtrail_server.hosting import LocalHost
from backtrail_server.jobs import Job, Jobs
from backtrail_server.kept import Kept
from backtrail_server.offers import Offers
from backtrail_server.results import Results, View, same_file
from backtrail_server.roots import project_root
from backtrail_server.services import Services
from backtrail_server.trust import TrustStore

if TYPE_CHECKING:
    from backtrail_tracer.postmortem import StoppedProgram

_log = logging.getLogger(__name__)


@define(eq=False)
class Project:
    """One workspace root and what was found there."""

    root: Path
    results: Results = field(factory=Results)
    offers: Offers = field(factory=Offers)
    kept: Kept = field(init=False)
    stopped: StoppedProgram | None = None
    stopped_run: str = ""  # the run that `stopped` stands still in
    _debugged: list[StoppedProgram] = field(factory=list)  # earlier ones that a person is debugging
    declined: bool = False  # the person dismissed the question: asked again in the next session
    prompt: str = ""  # what the model saw for the fix on offer, else last

    def __attrs_post_init__(self) -> None:
        self.kept = Kept(self.root)

    async def keep_stopped(self, stopped: StoppedProgram | None, run: str) -> None:
        """Own the program that stands at its failure, in the place of the one before."""
        before, self.stopped, self.stopped_run = self.stopped, stopped, run
        if before is not None:
            await before.retire()
            self._debugged = [each for each in (*self._debugged, before) if each.is_alive]

    async def close(self) -> None:
        """No program of this project is left, being debugged or not."""
        await self.keep_stopped(None, "")
        for each in self._debugged:
            await each.close()


class Core:
    """What features share. It holds no protocol type; `editor` is the way to the person."""

    def __init__(self, services: Services, editor: Editor) -> None:
        self.services = services
        self.editor = editor
        self.trust = TrustStore(services.data)
        self.host = LocalHost()
        self.jobs = Jobs(self._job_failed)
        self.client_settings: object = {}
        self._projects: dict[Path, Project] = {}
        self._loaded: dict[tuple[Path, Path | None, int, int], Loaded] = {}
        self._said: set[str] = set()

    def project(self, path: Path) -> Project:
        """The project a file belongs to; made when it is first asked for."""
        root = self._root(path)
        return self._projects.setdefault(root, Project(root))

    def projects(self) -> list[Project]:
        return list(self._projects.values())

    def _root(self, path: Path) -> Path:
        folders = [folder for folder in self.editor.folders() if path.is_relative_to(folder)]
        if folders:
            return max(folders, key=lambda folder: len(folder.parts))
        return project_root(path.parent)

    def set_client_settings(self, section: object) -> None:
        self.client_settings = section
        self._loaded.clear()
        self._say(config.load(section, None).problems)

    def loaded(self, path: Path) -> Loaded:
        """The settings for a file, with what the person allowed for its workspace; read again when its
        pyproject.toml, or what is remembered of workspaces, has changed."""
        project_file = config.project_file(path.parent, self._root(path))
        root = self._root(path)
        key = (root, project_file, _stamp(project_file), _stamp(self.trust.file))
        if key not in self._loaded:
            loaded = config.load(self.client_settings, project_file)
            allowed = with_allowances(loaded.settings, self.trust.allowed(root))
            self._loaded[key] = evolve(loaded, settings=allowed)
            self._say(loaded.problems)
        return self._loaded[key]

    def _say(self, problems: tuple[str, ...]) -> None:
        """Each problem is said once, however often its source is read."""
        for problem in problems:
            if problem not in self._said:
                self._said.add(problem)
                self.editor.tell(problem, "warning")

    def view(self, document: Document) -> View | None:
        return self.project(document.path).results.view(document.path, document.text)

    def document_of(self, path: Path) -> Document | None:
        """The open document of a file under whatever path the editor opened it, else the file."""
        for document in self.editor.opened():
            if same_file(document.path, path):
                return document
        return self.editor.document(path.as_uri())

    def _job_failed(self, job: Job[object], error: BaseException) -> None:
        """A job that broke is a defect of ours; the person is told, and the details go to the log."""
        _log.error("the job %s failed", job.key, exc_info=error)
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.editor.tell(f"Backtrail: {job.owner} failed ({what}). The log of the server has more.", "error")

    async def close(self) -> None:
        """Everything that runs is stopped, and every program is gone, when this returns."""
        await self.jobs.close()
        for project in self._projects.values():
            await project.close()
        await self.host.close()


def _stamp(path: Path | None) -> int:
    try:
        return path.stat().st_mtime_ns if path else 0
    except OSError:
        return 0
