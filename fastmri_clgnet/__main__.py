"""The command `python -m fastmri_clgnet`: the list of commands."""

from __future__ import annotations

import sys

COMMANDS = {
    "train_clgnet": "train a model, test it and save submission files",
    "reconstruct": "reconstruct the volumes of a folder with a trained model",
    "evaluate": "NMSE, PSNR and SSIM of reconstructions, with confidence intervals",
    "report": "one HTML page about runs and reconstructions",
    "check": "check a data set in fastMRI's format, file by file",
    "convert": "convert other data into fastMRI's format",
    "export": "a checkpoint's weights, to share",
    "benchmark": "time, memory, operations and quality of the models",
}


def main() -> int:
    """Print the commands."""
    print("CLGNet for fastMRI. Commands, each with --help:\n")
    for name, text in COMMANDS.items():
        print(f"  python -m fastmri_clgnet.{name:14}{text}")
    print("\nWithout flags, train_clgnet trains a small network on simulated data.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
