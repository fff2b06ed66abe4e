"""Lightning modules, and the bridge that runs fastMRI's under Lightning 2."""

from fastmri_clgnet.pl_modules.clgnet_module import CLGNetModule
from fastmri_clgnet.pl_modules.clgvarnet_module import CLGNetDCModule, CLGVarNetModule
from fastmri_clgnet.pl_modules.image_module import ImageModule, ZeroFilledModule
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin
from fastmri_clgnet.pl_modules.reconstruction_module import ReconstructionModule

__all__ = [
    "CLGNetDCModule",
    "CLGNetModule",
    "CLGVarNetModule",
    "ImageModule",
    "KspaceModule",
    "Lightning2Mixin",
    "ReconstructionModule",
    "ZeroFilledModule",
]
