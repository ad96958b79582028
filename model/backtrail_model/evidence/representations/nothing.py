"""`none`: the model sees the source only. What the others are compared with."""

from __future__ import annotations

from backtrail_model.evidence.material import Material, Rendering


def render(material: Material) -> Rendering:
    return Rendering("", with_outcome=False)
