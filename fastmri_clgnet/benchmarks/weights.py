"""What trained weights are worth: inside of what they were trained on, and outside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules.registry import MODELS, ZERO_FILLED
from fastmri_clgnet.tables import Row, Table, quality, write_tables

if TYPE_CHECKING:
    from fastmri_clgnet.evaluation.metrics import VolumeMetrics

CASES = {
    "4x_random": Mask("random", (4,), (0.08,)),
    "4x_equispaced": Mask("equispaced_fraction", (4,), (0.08,)),
    "4x_magic": Mask("magic_fraction", (4,), (0.08,)),
    "8x_random": Mask("random", (8,), (0.04,)),
}
BASELINE = MODELS[ZERO_FILLED].label


def weights(
    data_path: Path,
    *,
    weights: Mapping[str, str] | None = None,
    output_path: Path = Path("clgnet/benchmark/weights"),
    device: str = "auto",
) -> dict[str, Table]:
    """NMSE, PSNR and SSIM of trained weights: by acquisition, mask and acceleration.

    Fully sampled volumes are undersampled by four kinds of masks, seeded by their names,
    reconstructed, and evaluated as fastMRI does, beside zero-filling; with 95 % confidence
    intervals by bootstrap over volumes. Then the same with the real raw slice of the package, which
    is a single slice. Pictures of the best, the median and the worst slice of the first weights go
    beside the tables. A second call goes on where the first was stopped.

    Args:
        data_path: Folder of fully sampled files in fastMRI's format, such as DATA/singlecoil_val.
        weights: What to call each, and its name or file, such as: CLGNet brain-4x. By default all
            weights of the package.
        output_path: Folder of reconstructions, pictures, and of weights.md and weights.json.
        device: cpu, cuda, cuda:1, ...; auto is a GPU where there is one.

    Returns:
        A table for each kind of mask, such as "4x_random", and "raw_slice".

    Raises:
        InputError: If data or weights cannot be used.
    """
    from fastmri_clgnet.evaluation.evaluate import evaluate
    from fastmri_clgnet.inference.folder import challenge_of, reconstruct
    from fastmri_clgnet.inference.loading import find_weights
    from fastmri_clgnet.weights import shipped

    given = {name: str(path) for name, path in shipped().items()} if weights is None else weights
    if not given or BASELINE in given:
        raise InputError(f"weights: expected one or more, none of them called {BASELINE}")
    files = {label: find_weights(each) for label, each in given.items()}
    challenge = challenge_of(data_path)
    tables: dict[str, Table] = {}
    for case, mask in CASES.items():
        folders = {label: output_path / case / label for label in (BASELINE, *files)}
        for label, folder in folders.items():
            model, file = (ZERO_FILLED, None) if label == BASELINE else (None, files[label])
            reconstruct(
                data_path, folder, file, model=model, mask=mask, device=device,
                overwrite="different",
            )  # fmt: skip
        result = evaluate(data_path, [*folders.values()], challenge, labels=[*folders])
        if result.failures:
            raise InputError(result.failures[0])
        rows: dict[str, Row] = {
            f"{group}, {method}": {
                **quality({name: one.mean for name, one in values.items()}),
                "volumes": values["PSNR"].n,
                "PSNR from": values["PSNR"].low,
                "PSNR to": values["PSNR"].high,
            }
            for group, methods in result.summaries.items()
            for method, values in methods.items()
        }
        tables[case] = Table(f"{mask}: mean over volumes of {data_path}", rows, {})
        _save_slices(output_path / case, data_path, folders, challenge, result.volumes)
    tables["raw_slice"] = _raw_slice(files, output_path, device)
    settings = {"data_path": data_path, **{f"weights {name}": file for name, file in files.items()}}
    write_tables(output_path / "weights", tables, settings)
    return tables


def _raw_slice(files: Mapping[str, Path], output_path: Path, device: str) -> Table:
    """The package's real raw slice, undersampled by each kind of mask."""
    from fastmri_clgnet.evaluation.metrics import volume_metrics
    from fastmri_clgnet.figures import save_comparison
    from fastmri_clgnet.formats.example import example_slice
    from fastmri_clgnet.inference.folder import load_module
    from fastmri_clgnet.inference.scan import run, undersample

    scan = example_slice()
    rows: dict[str, Row] = {}
    for case, mask in CASES.items():
        sampled = undersample(scan, mask)
        assert sampled.reference is not None
        images = {BASELINE: run(load_module(None, ZERO_FILLED), sampled, device)}
        for label, file in files.items():
            images[label] = run(load_module(file, None), sampled, device)
        for label, image in images.items():
            rows[f"{case}, {label}"] = quality(volume_metrics(sampled.reference, image)[0])
        save_comparison(
            output_path / f"raw_slice_{case}.png",
            {label: image[0] for label, image in images.items()},
            sampled.reference[0],
            float(sampled.reference.max()),
            f"{scan.name}, {mask}",
        )
    return Table(f"real raw k-space, one slice ({scan.name}, 4 coils)", rows, {})


def _save_slices(
    path: Path,
    data_path: Path,
    folders: Mapping[str, Path],
    challenge: str,
    volumes: list[VolumeMetrics],
) -> None:
    """Save best, median and worst slice, by SSIM, of the first weights."""
    from fastmri_clgnet.figures import save_comparison
    from fastmri_clgnet.reporting.slices import choose_slices, read_volume

    first = next(label for label in folders if label != BASELINE)
    for reason, file, index in choose_slices(volumes, first, []):
        volume = read_volume(data_path, folders, file, challenge, volumes)
        save_comparison(
            path.with_name(f"{path.name}_{reason}.png"),
            {label: images[index] for label, images in volume.reconstructions.items()},
            volume.target[index],
            float(volume.target.max()),
            f"{file}, slice {index}: the {reason} by SSIM of {first}",
        )
