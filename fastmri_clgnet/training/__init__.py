"""Training: `train` and what it is made of."""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.training.objective import paper_objective
    from fastmri_clgnet.training.run import Run, train

__all__ = ["Run", "paper_objective", "train"]

__getattr__ = lazy(__name__, {"Run": "run", "paper_objective": "objective", "train": "run"})
