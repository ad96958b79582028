"""Ways to solve a task. A solver sees a `Bench`, in which there is nothing of the hidden tests."""

from backtrail_model.study.solvers.bench import Bench, Outcome, Sample
from backtrail_model.study.solvers.solve import solve

__all__ = ["Bench", "Outcome", "Sample", "solve"]
