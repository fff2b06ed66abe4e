"""The paper's comparison methods: networks on single-coil k-space and its sampling mask."""

from fastmri_clgnet.models.comparison.cddn import CDDN
from fastmri_clgnet.models.comparison.dccnn import DCCNN
from fastmri_clgnet.models.comparison.dudornet import DuDoRNet
from fastmri_clgnet.models.comparison.ista_net import ISTANetPlus
from fastmri_clgnet.models.comparison.kspace_network import KspaceNetwork, Reconstruction, Reference
from fastmri_clgnet.models.comparison.octconv import DualOctConv
from fastmri_clgnet.models.comparison.primal_dual import PrimalDualNet

COMPARISON_METHODS: dict[str, type[KspaceNetwork]] = {
    "dccnn": DCCNN,
    "ista": ISTANetPlus,
    "cddn": CDDN,
    "pd": PrimalDualNet,
    "dudor": DuDoRNet,
    "octconv": DualOctConv,
}

__all__ = [
    "CDDN",
    "COMPARISON_METHODS",
    "DCCNN",
    "DuDoRNet",
    "DualOctConv",
    "ISTANetPlus",
    "KspaceNetwork",
    "PrimalDualNet",
    "Reconstruction",
    "Reference",
]
