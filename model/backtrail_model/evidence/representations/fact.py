"""`fact`: the failing call, what was expected and what came, and nothing of the inside."""

from __future__ import annotations

from backtrail_model.evidence.material import Material, Rendering


def render(material: Material) -> Rendering:
    return Rendering("")
