"""Training: `train` and what it is made of."""

from fastmri_clgnet.training.objective import paper_objective
from fastmri_clgnet.training.train import Run, train

__all__ = ["Run", "paper_objective", "train"]
