"""A run that was stopped has no failure of its own: here is one, for evidence and repair."""

from __future__ import annotations

from backtrail_tracer.trace import Failure, FailureFrame, Frame, Hit, Trace, Value

STOPPED = ("timeout", "killed")


def endless(trace: Trace) -> Failure | None:
    """The failure of a run that was stopped at a limit: where it stood last, with what was recorded there.

    None for a run that ended by itself, or of which nothing is known.
    """
    if trace.status not in STOPPED or not trace.hits:
        return None
    last = max(trace.hits, key=lambda hit: hit.order)
    frames: list[FailureFrame] = []
    frame: Frame | None = trace.frames[last.frame]
    while frame is not None:
        hits = list(trace.hits_of(frame.id))
        if hits:
            frames.insert(0, _place(trace, frame, hits))
        frame = trace.frames.get(frame.parent) if frame.parent is not None else None
    item = next((item.id for item in trace.items if item.outcome is None), trace.frames[last.frame].item)
    return Failure(item, "Endless", trace.message or "it was stopped at a limit", tuple(frames))


def _place(trace: Trace, frame: Frame, hits: list[Hit]) -> FailureFrame:
    held: dict[str, Value] = dict(frame.arguments)
    for hit in hits:
        held.update(hit.changed)
    line, name = hits[-1].line, frame.code.name
    return FailureFrame(frame.code.path, line, line, -1, -1, name, held, True)
