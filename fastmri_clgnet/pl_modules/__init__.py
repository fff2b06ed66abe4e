"""Lightning modules, and the bridge that runs fastMRI's under Lightning 2."""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.pl_modules.clgnet_module import CLGNetModule
    from fastmri_clgnet.pl_modules.clgvarnet_module import CLGNetDCModule, CLGVarNetModule
    from fastmri_clgnet.pl_modules.image_module import ImageModule, ZeroFilledModule
    from fastmri_clgnet.pl_modules.kspace_module import KspaceModule
    from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin
    from fastmri_clgnet.pl_modules.reconstruction_module import ReconstructionModule
    from fastmri_clgnet.pl_modules.varnet_module import VarNetModule

__all__ = [
    "CLGNetDCModule",
    "CLGNetModule",
    "CLGVarNetModule",
    "ImageModule",
    "KspaceModule",
    "Lightning2Mixin",
    "ReconstructionModule",
    "VarNetModule",
    "ZeroFilledModule",
]

__getattr__ = lazy(
    __name__,
    {
        "CLGNetDCModule": "clgvarnet_module",
        "CLGNetModule": "clgnet_module",
        "CLGVarNetModule": "clgvarnet_module",
        "ImageModule": "image_module",
        "KspaceModule": "kspace_module",
        "Lightning2Mixin": "lightning2",
        "ReconstructionModule": "reconstruction_module",
        "VarNetModule": "varnet_module",
        "ZeroFilledModule": "image_module",
    },
)
