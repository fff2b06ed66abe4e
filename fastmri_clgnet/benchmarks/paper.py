"""Costs of networks according to the CLGNet paper."""

from __future__ import annotations

from typing import NamedTuple

TABLE_SIZE = 512  # height and width, pixels, of the paper's images for counting operations


class PaperCost(NamedTuple):
    """The paper's figures for a network: millions of parameters, 10^9 operations at 512 x 512."""

    parameters: float | None = None
    gmacs: float | None = None


TABLE2 = {
    "unet": PaperCost(7.76, 54.82),
    "dccnn": PaperCost(0.57, 148.65),
    "ista": PaperCost(0.38, 148.57),
    "cddn": PaperCost(0.12, 32.05),
    "pd": PaperCost(0.41, 107.72),
    "dudor": PaperCost(0.65, 851.53),
    "octconv": PaperCost(0.57, 471.07),
    "clgnet": PaperCost(0.96, 68.91),
}
ABLATION = {
    "clgnet": PaperCost(0.96, 68.91),
    "wo_wavelet": PaperCost(),
    "wo_sfl": PaperCost(0.81, 65.1),
    "sa": PaperCost(0.88),
    "tran": PaperCost(0.95, 82.56),
}
