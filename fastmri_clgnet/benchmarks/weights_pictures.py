"""Raw scans and the pictures in the benchmark of trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.evaluation.metrics import VolumeMetrics, volume_metrics
from fastmri_clgnet.figures import save_comparison
from fastmri_clgnet.formats.scan import Scan
from fastmri_clgnet.inference.applying import ready_network, reconstruct_slices
from fastmri_clgnet.inference.scan import undersample
from fastmri_clgnet.reporting.slices import choose_slices, read_volume
from fastmri_clgnet.tables import LABELS, ZERO_FILLED, Row, Table, quality

BASELINE = LABELS[ZERO_FILLED]


def ready_networks(files: Mapping[str, Path]) -> dict[str, nn.Module]:
    """Return zero-filling and the networks of files of weights, by their labels."""
    networks: dict[str, nn.Module] = {BASELINE: ready_network(None, ZERO_FILLED)}
    return networks | {label: ready_network(file, None) for label, file in files.items()}


def raw_scan(
    name: str,
    scan: Scan,
    files: Mapping[str, Path],
    masks: Mapping[str, Mask],
    output_path: Path,
    device: str,
) -> Table:
    """Evaluate a fully sampled scan, undersampled by each kind of mask; show its middle slice.

    Weights that cannot take it, such as those of one coil, are left out; the title says so.
    """
    middle = len(scan.kspace) // 2
    rows: dict[str, Row] = {}
    networks, left_out = ready_networks(files), dict[str, str]()
    for case, mask in masks.items():
        sampled = undersample(scan, mask)
        assert sampled.reference is not None
        images = {}
        for label, network in networks.items():
            try:
                images[label] = reconstruct_slices(network, sampled, device, 1, "32-true")
            except InputError as error:
                left_out[label] = f"{label} ({error})"
        for label, image in images.items():
            rows[f"{case}, {label}"] = quality(volume_metrics(sampled.reference, image)[0])
        save_comparison(
            output_path / f"{name}_{case}.png",
            {label: image[middle] for label, image in images.items()},
            sampled.reference[middle],
            float(sampled.reference.max()),
            f"{scan.name}, {mask}",
        )
    what = f"{len(scan.kspace)} slices" if len(scan.kspace) > 1 else "one slice"
    coils = f"{scan.n_coils} coils" if scan.n_coils > 1 else "1 coil"
    title = f"real raw k-space, {what} ({scan.name}, {coils})"
    return Table("; left out: ".join([title, *left_out.values()]), rows, {})


def save_slices(
    path: Path,
    data_path: Path,
    folders: Mapping[str, Path],
    challenge: str,
    volumes: list[VolumeMetrics],
) -> None:
    """Save the best, median and worst slice, by SSIM, of the first weights."""
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
