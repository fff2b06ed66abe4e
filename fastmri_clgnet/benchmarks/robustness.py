"""The quality of trained weights on images that differ in one way from a folder's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastmri_clgnet.benchmarks.weights import files_of
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import expect_writable
from fastmri_clgnet.tables import Table, write_tables


def robustness(
    data_path: Path,
    *,
    weights: Mapping[str, str] | None = None,
    every: int = 1,
    mask: Mask = Mask("random", (4,), (0.08,)),
    output_path: Path = Path("clgnet/benchmark"),
    device: str = "auto",
) -> dict[str, Table]:
    """Measure trained weights on images of other size, contrast, noise, coils and orientation.

    The references of a folder are changed in one way at a time. Their k-space, with phase, coils
    and noise, is simulated (as `convert` does for magnitude images), undersampled and
    reconstructed. The first row is without a change.

    Args:
        data_path: Folder of fully sampled files in fastMRI's format, such as DATA/singlecoil_val.
        weights: A label for each, and its name or file, such as: CLGNet brain-4x. By default all
            weights of the package.
        every: Takes every so many slices of a volume.
        mask: What undersamples the k-space.
        output_path: Folder that robustness.md and robustness.json are written to.
        device: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.

    Returns:
        The table, as "robustness": NMSE, PSNR and SSIM, means over volumes.

    Raises:
        InputError: If data or weights cannot be used.
    """
    if every < 1:
        raise InputError(f"every {every}: expected 1 or more, such as 4 for each fourth slice")
    files = files_of(weights)
    from fastmri_clgnet.benchmarks.robustness_rows import robustness_rows

    expect_writable(output_path / "robustness.json")
    rows, left_out = robustness_rows(data_path, files, every, mask, device)
    title = f"{mask}, simulated k-space: mean over volumes of {data_path}"
    title = "; left out: ".join([title, *left_out[:1]])
    tables = {"robustness": Table(title, rows, {})}
    settings = {"data_path": data_path, "every": every, "mask": str(mask), "device": device}
    settings |= {f"weights {name}": file for name, file in files.items()}
    write_tables(output_path / "robustness", tables, settings)
    return tables
