"""What the prompts of the study have in common."""

from __future__ import annotations

from collections.abc import Mapping

from backtrail_model import prompts

Message = Mapping[str, str]


def section(name: str, facts: str) -> str:
    """The facts under their headline; nothing at all where there are none."""
    return f"\n{prompts.fill(name, facts=facts)}\n" if facts else ""


def message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
