"""The JSON form of a trace and of a fix, for programs. Versioned: a field never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtrail_tracer.trace import Check, Failure, FailureFrame, Hit, Item, Trace, Value

if TYPE_CHECKING:
    from backtrail_model.repair import Fix
    from backtrail_server.assisting import Explained
    from backtrail_server.terminal.fix import Outcome

VERSION = 1


def of_trace(trace: Trace) -> dict[str, Any]:
    return {
        "version": VERSION,
        "run": trace.run,
        "entry": trace.entry,
        "status": trace.status,
        "message": trace.message,
        "python": trace.python,
        "recorder": {"name": trace.recorder, "reason": trace.reason},
        "started": trace.started,
        "seconds": trace.seconds,
        "exit_code": trace.exit_code,
        "files": {str(path): digest for path, digest in trace.files.items()},
        "items": [_item(item) for item in trace.items],
        "failures": [_failure(failure) for failure in trace.failures],
        "lines": {str(path): _lines(trace, path) for path in trace.files},
        "caps": [
            {
                "path": str(cap.path),
                "line": cap.line,
                "kept": cap.kept,
                "last": cap.last,
                "total": cap.total,
            }
            for cap in trace.caps
        ],
        "passes": trace.passes,
        "again": trace.again,
        "flaky": trace.flaky,
        "limits": list(trace.limits),
        "side_effects": [
            {"kind": effect.kind, "detail": effect.detail, "line": effect.line, "allowed": effect.allowed}
            for effect in trace.side_effects
        ],
        "loose_ends": list(trace.loose_ends),
    }


def of_fix(trace: Trace, outcome: Outcome) -> dict[str, Any]:
    fix = outcome.fix
    return {
        "version": VERSION,
        "trace": of_trace(trace),
        "explanation": outcome.explained.text if outcome.explained else None,
        **_claims(outcome.explained),
        "fix": _fix(fix) if fix is not None else None,
        "seconds": outcome.seconds,
        "seconds_to_first_fix": outcome.first_s,
        "applied": outcome.applied,
        "notes": outcome.notes,
        "prompts": list(dict.fromkeys(outcome.prompts)),
    }


def _claims(explained: Explained | None) -> dict[str, Any]:
    """What became of the model's sentences; a "guess" is one that the trace neither bears out nor refutes."""
    claims = explained.claims if explained else ()
    dropped = explained.dropped if explained else ()
    return {
        "claims": [{"text": claim.text, "standing": claim.standing} for claim in claims],
        "dropped_sentences": len(dropped),
        "dropped": list(dropped),
        "guessed_sentences": explained.guesses if explained else 0,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "title": fix.title,
        "path": str(fix.candidate.path),
        "diff": fix.diff,
        "passed": fix.verdict.passed,
        "preferred": fix.preferred,
        "flags": list(fix.flags),
        "proposer": fix.proposer,
        "seconds": fix.seconds,
        "items": [_item(item) for item in fix.verdict.items],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "path": str(item.path) if item.path else None,
        "line": item.line,
        "outcome": item.outcome,
        "seconds": item.seconds,
        "message": item.message,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "item": failure.item,
        "type": failure.type,
        "message": failure.message,
        "frames": [_frame(frame) for frame in failure.frames if frame.traced],
        "chain": list(failure.chain),
        "expected": _value(failure.expected) if failure.expected else None,
        "actual": _value(failure.actual) if failure.actual else None,
        "check": _check(failure.check) if failure.check else None,
    }


def _check(check: Check) -> dict[str, Any]:
    """What the check that failed asked for; `operator` is "" where the truth of the condition was."""
    return {
        "condition": check.condition,
        "operator": check.operator,
        "operands": [{"text": one.text, "value": _value(one.value)} for one in check.operands],
        "words": check.words,
    }


def _frame(frame: FailureFrame) -> dict[str, Any]:
    return {
        "path": str(frame.path),
        "line": frame.line,
        "name": frame.name,
        "locals": _values(frame.locals),
    }


def _lines(trace: Trace, path: Path) -> dict[str, Any]:
    return {str(line): [_hit(hit) for hit in hits] for line, hits in sorted(trace.lines(path).items())}


def _hit(hit: Hit) -> dict[str, Any]:
    document = {"frame": hit.frame, "hit": hit.number, "us": hit.time_us, "changed": _values(hit.changed)}
    if hit.raised:
        document["raised"] = hit.raised
    return document


def _values(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Value) -> dict[str, Any]:
    return {"type": value.type, "text": value.text} | ({"redacted": True} if value.redacted else {})
