"""Search over candidate edits, each of which is executed."""

from backtrail_model.repair.candidates import Candidate, Prompted
from backtrail_model.repair.context import Attempts, RepairContext, prepare
from backtrail_model.repair.fixes import Fix, LineEdit
from backtrail_model.repair.proposers import standard
from backtrail_model.repair.proposers.base import Proposer
from backtrail_model.repair.search import Progress, repair

__all__ = [
    "Attempts",
    "Candidate",
    "Fix",
    "LineEdit",
    "Progress",
    "Prompted",
    "Proposer",
    "RepairContext",
    "prepare",
    "repair",
    "standard",
]
