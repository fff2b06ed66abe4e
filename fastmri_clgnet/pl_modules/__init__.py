"""Lightning modules, and the bridge that runs fastMRI's under Lightning 2."""

from fastmri_clgnet.pl_modules.clgnet_module import CLGNetModule
from fastmri_clgnet.pl_modules.clgvarnet_module import CLGNetDCModule, CLGVarNetModule
from fastmri_clgnet.pl_modules.comparison_module import ComparisonModule
from fastmri_clgnet.pl_modules.image_module import ImageModule, ZeroFilledModule
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin
from fastmri_clgnet.pl_modules.varnet_module import VarNetModule

__all__ = [
    "CLGNetDCModule",
    "CLGNetModule",
    "CLGVarNetModule",
    "ComparisonModule",
    "ImageModule",
    "KspaceModule",
    "Lightning2Mixin",
    "VarNetModule",
    "ZeroFilledModule",
]
