"""fastMRI's metrics of reconstructions, with confidence intervals."""

from fastmri_clgnet.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
