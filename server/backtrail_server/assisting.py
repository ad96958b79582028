"""The model client and the repair search as the server uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from backtrail_server.results import Ran, Shown
from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_model.claims import Claim
    from backtrail_model.client import ModelClient, NoHost
    from backtrail_model.evidence import Evidence
    from backtrail_model.repair import Fix, Progress, Prompted


@frozen
class Explained:
    """An explanation, what the model saw for it, and what became of each of its sentences.

    `text` is markdown in which guesses are called so; `dropped` are the sentences that the trace does not
    bear out, each after the reason.
    """

    text: str
    prompt: str
    claims: tuple[Claim, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def guesses(self) -> int:
        return sum(claim.standing == "guess" for claim in self.claims)


class ModelAssisting:
    def connect(self, settings: Settings) -> ModelClient | NoHost:
        from backtrail_model.client import connect

        model = settings.model
        name = None if model.name == "auto" else model.name
        return connect(model.base_url, model.token, model.allow_hosts, model=name)

    def evidence(self, shown: Shown) -> Evidence:
        from backtrail_model.evidence import gather

        return gather(shown.ran.trace, shown.failure, source_of(shown.ran))

    def summary(self, evidence: Evidence) -> str:
        from backtrail_model.explain import summary

        return summary(evidence)

    async def explain(
        self, client: ModelClient, evidence: Evidence, seed: int, on_text: Callable[[str], None]
    ) -> Explained:
        """Raises HostError. `on_text` gets what there is so far."""
        from backtrail_model import explain
        from backtrail_model.veil import covered

        prompt, text = "", ""

        def note(used: Evidence) -> None:
            nonlocal prompt
            prompt = covered("\n\n".join(f"[{m['role']}]\n{m['content']}" for m in explain.messages(used)))

        async with aclosing(explain.explain(client, evidence, seed=seed, on_evidence=note)) as pieces:
            async for piece in pieces:
                text += piece
                on_text(text)
        checked = explain.check(text, evidence)
        dropped = tuple(covered(reason) for reason in checked.dropped)
        return Explained(checked.text, prompt, checked.claims, dropped)

    async def fixes(
        self,
        client: ModelClient | None,
        shown: Shown,
        root: Path,
        settings: Settings,
        *,
        on_progress: Callable[[str], None],
        on_prompt: Callable[[str], None],
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> AsyncGenerator[Fix, None]:
        """Each better than the one before. Without a client, only edits that need no model are tried.

        `on_prompt` gets what the model sees, question by question, and after each fix and at the end the one
        whose answer the fix is. `on_trouble` gets, at the end, what the model could not be asked, and what to
        do about it.
        """
        from backtrail_model.repair import prepare, repair, standard
        from backtrail_server.tracing import process_limits
        from backtrail_tracer.session import Session
        from backtrail_tracer.verify import Verifier

        ran = shown.ran
        context = await asyncio.to_thread(
            prepare, ran.trace, shown.failure, source_of(ran), seed=settings.fix.seed
        )
        session = Session(ran.interpreter, root, allow=settings.guard.allow, sandbox=settings.sandbox)
        limits = process_limits(settings.limits)

        told = 0

        def tell(of: Fix | None = None) -> None:
            nonlocal told
            asked = context.attempts.prompts[told:]
            told += len(asked)
            if of is not None and of.prompted is not None:
                asked.append(of.prompted)
            for prompted in asked:
                on_prompt(prompt_words(prompted))

        def report(progress: Progress) -> None:
            on_progress(progress_words(progress))
            tell()

        async with Verifier(session, ran.entry, process_limits=limits) as verifier:
            search = repair(
                context,
                standard(client),
                verifier,
                budget_s=settings.fix.budget_seconds,
                on_progress=report,
            )
            best: Fix | None = None
            async with aclosing(search) as found:
                async for fix in found:
                    best = fix
                    tell(best)
                    yield fix
        tell(best)
        for trouble in context.attempts.skipped[-1:]:
            on_trouble(trouble)


def source_of(ran: Ran) -> Callable[[Path], str]:
    """The texts as they ran; an empty one for a file whose text is not known."""
    return lambda path: ran.trace.sources.get(path, "")


def progress_words(progress: Progress) -> str:
    best = f" · best: {progress.best}" if progress.best else ""
    return f"{progress.tried} tried, {progress.waiting} waiting, {progress.seconds:.0f} s{best}"


def prompt_words(prompted: Prompted) -> str:
    from backtrail_model.veil import covered

    about = f"{prompted.proposer}, {prompted.options}, model {prompted.model or 'unknown'}"
    return f"{about}\n\n{covered(prompted.text)}"
