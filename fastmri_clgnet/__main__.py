"""The command `python -m fastmri_clgnet`: lists the commands, runs one by name, says versions."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version

COMMANDS = {
    "train_clgnet": "train a model, test it and save submission files",
    "reconstruct": "reconstruct a scan, or the volumes of a folder, with a trained model",
    "evaluate": "NMSE, PSNR and SSIM of reconstructions, with confidence intervals",
    "report": "one HTML page about runs and reconstructions",
    "check": "check a data set in fastMRI's format, file by file",
    "convert": "convert other data into fastMRI's format",
    "export": "export a checkpoint's weights for sharing",
    "weights": "list the trained weights that ship with the package",
    "benchmark": "time, memory, operations and quality of the models",
}

BANDING = {
    "train_banding": "fine-tune a trained model to remove its bands",
    "score": "score and energy of bands in reconstructions, and SSIM",
    "blur": "blur reconstructions to the same energy, for comparison",
    "demo": "put bands into a network and remove them again, on simulated data",
}

# whose versions a report of a fault needs
NEEDED = ("fastmri_clgnet", "fastmri", "torch", "pytorch_lightning", "numpy", "h5py")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named first, or list the commands; return the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        home = "weights.__main__" if given[0] == "weights" else given[0]
        status: int = importlib.import_module(f"fastmri_clgnet.{home}").main(given[1:])
        return status
    if given == ["--version"]:
        print(", ".join(f"{name} {version(name)}" for name in NEEDED))
        print(f"Python {platform.python_version()}, {platform.platform()}")
        return 0
    if given and given[0] not in ("-h", "--help"):
        print(
            f"error: {given[0]}: no such command; expected one of {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    print("CLGNet for fastMRI. Commands, each with --help:\n")
    for name, text in COMMANDS.items():
        print(f"  python -m fastmri_clgnet.{name:14}{text}")
    print("\nBands in reconstructions:\n")
    for name, text in BANDING.items():
        print(f"  python -m banding.{name:21}{text}")
    print("\n--version gives the versions, for a report of a fault.")
    print("Without flags, train_clgnet trains a small network on simulated data.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
