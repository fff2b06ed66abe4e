"""Lightning modules, and the bridge that runs fastMRI's under Lightning 2."""

from importlib import import_module

try:
    import_module("fastmri.pl_modules")
except RuntimeError as error:
    if "torchvision::" in str(error):
        raise ImportError(
            "torchvision does not fit the installed torch (fastMRI needs both: it imports "
            "torchvision through torchmetrics). Install the two from one index: pip install "
            "--force-reinstall torch torchvision; a CPU-only torch needs the torchvision of the "
            "same CPU index."
        ) from error
    raise

from fastmri_clgnet.pl_modules.clgnet_module import CLGNetModule
from fastmri_clgnet.pl_modules.clgvarnet_module import CLGNetDCModule, CLGVarNetModule
from fastmri_clgnet.pl_modules.comparison_module import ComparisonModule
from fastmri_clgnet.pl_modules.image_module import ImageModule
from fastmri_clgnet.pl_modules.kspace_module import KspaceModule, ZeroFilledModule
from fastmri_clgnet.pl_modules.lightning2 import Lightning2Mixin
from fastmri_clgnet.pl_modules.registry import load_module
from fastmri_clgnet.pl_modules.unet_module import UnetModule
from fastmri_clgnet.pl_modules.varnet_module import VarNetModule

__all__ = [
    "CLGNetDCModule",
    "CLGNetModule",
    "CLGVarNetModule",
    "ComparisonModule",
    "ImageModule",
    "KspaceModule",
    "Lightning2Mixin",
    "UnetModule",
    "VarNetModule",
    "ZeroFilledModule",
    "load_module",
]
