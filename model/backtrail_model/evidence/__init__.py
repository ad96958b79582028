"""From a trace to the few facts that a model (or a person) needs."""

from backtrail_model.evidence.endless import endless
from backtrail_model.evidence.evidence import Call, Evidence, Place, TestCase
from backtrail_model.evidence.facts import Fact
from backtrail_model.evidence.gather import BUDGET, gather, gather_from
from backtrail_model.evidence.representations import DEFAULT, REPRESENTATIONS

__all__ = [
    "BUDGET",
    "DEFAULT",
    "REPRESENTATIONS",
    "Call",
    "Evidence",
    "Fact",
    "Place",
    "TestCase",
    "endless",
    "gather",
    "gather_from",
]
