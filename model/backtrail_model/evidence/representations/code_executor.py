"""`code_executor`: line after line with all variables, after CodeExecutor (Liu et al., arXiv 2305.05383).

The tokens `<line>`, `<n>`, `<state>` and `<dictsep>` are that model's own; the result, or the
exception, is an `<output>`, as in the study (arXiv 2509.11686).
"""

from __future__ import annotations

from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.representations import stream


def render(material: Material) -> Rendering:
    return stream.render(material, _write)


def _write(moment: stream.Moment) -> str:
    state = " <dictsep> ".join(f"{name} : {text}" for name, text in moment.state.items())
    output = f" <output> {moment.output}" if moment.output is not None else ""
    return f"<line> <{moment.label.removeprefix('L')}> <state> {state} </state>{output}"
