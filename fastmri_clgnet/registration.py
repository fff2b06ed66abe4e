"""Makes this package's models known to fastMRI."""

from __future__ import annotations

try:
    import fastmri.models
    import fastmri.pl_modules
except RuntimeError as error:
    if "torchvision::" in str(error):
        raise ImportError(
            "torchvision does not fit the installed torch (fastMRI needs both: it imports "
            "torchvision through torchmetrics). Install the two from one index: pip install "
            "--force-reinstall torch torchvision; a CPU-only torch needs the torchvision of the "
            "same CPU index."
        ) from error
    raise

from fastmri_clgnet.models import CLGNet, CLGVarNet
from fastmri_clgnet.pl_modules import CLGNetModule, CLGVarNetModule

for _package, _class in (
    (fastmri.models, CLGNet),
    (fastmri.models, CLGVarNet),
    (fastmri.pl_modules, CLGNetModule),
    (fastmri.pl_modules, CLGVarNetModule),
):
    if not hasattr(_package, _class.__name__):
        setattr(_package, _class.__name__, _class)
