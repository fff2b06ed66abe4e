"""The quality of trained weights, on data like that of their training and on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fastmri_clgnet.data.folders import challenge_of
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.evaluation.evaluate import evaluate
from fastmri_clgnet.formats.example import example_slice
from fastmri_clgnet.formats.read_scan import read_scan
from fastmri_clgnet.inference.folder import reconstruct
from fastmri_clgnet.tables import LABELS, ZERO_FILLED, Row, Table, quality, write_tables
from fastmri_clgnet.weights import find_weights, shipped

CASES = {
    "4x_random": Mask("random", (4,), (0.08,)),
    "4x_equispaced": Mask("equispaced_fraction", (4,), (0.08,)),
    "4x_magic": Mask("magic_fraction", (4,), (0.08,)),
    "8x_random": Mask("random", (8,), (0.04,)),
}
BASELINE = LABELS[ZERO_FILLED]


def files_of(weights: Mapping[str, str] | None) -> dict[str, Path]:
    """Return the files of weights by their labels; by default all weights of the package."""
    given = {name: str(path) for name, path in shipped().items()} if weights is None else weights
    if not given or BASELINE in given:
        raise InputError(f"weights: expected one or more, none of them labelled {BASELINE}")
    return {label: find_weights(each) for label, each in given.items()}


def weights(
    data_path: Path,
    *,
    weights: Mapping[str, str] | None = None,
    scans: Sequence[Path] = (),
    output_path: Path = Path("clgnet/benchmark/weights"),
    device: str = "auto",
) -> dict[str, Table]:
    """Measure NMSE, PSNR and SSIM of trained weights, by acquisition, mask and acceleration.

    Fully sampled volumes are undersampled by four kinds of masks, seeded by their names,
    reconstructed, and evaluated as fastMRI does, with 95 % confidence intervals by bootstrap over
    volumes. Zero-filling is evaluated too, and the package's single real raw slice is treated in
    the same way. Pictures of the best, the median and the worst slice of the first weights are
    saved with the tables. Another call continues an interrupted one.

    Args:
        data_path: Folder of fully sampled files in fastMRI's format, such as DATA/singlecoil_val.
        weights: A label for each, and its name or file, such as: CLGNet brain-4x. By default all
            weights of the package.
        scans: Fully sampled files of raw data of any format that `read_scan` knows, which are
            treated as the package's slice.
        output_path: Folder of reconstructions, pictures, and of weights.md and weights.json.
        device: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.

    Returns:
        One table per kind of mask, such as "4x_random", "raw_slice", and one per scan by its name.

    Raises:
        InputError: If data or weights cannot be used, or no volume can be evaluated.
    """
    files = files_of(weights)
    raw = {"raw_slice": example_slice(), **{path.stem: read_scan(path) for path in scans}}
    if len(raw) <= len(scans) or not CASES.keys().isdisjoint(raw):  # each names a table
        expected = f"files of different names, none of them named {words(CASES)}"
        raise InputError(f"scans: expected {expected}, got {words(scans)}")
    for scan in raw.values():
        if scan.mask is not None:
            raise InputError(f"{scan.name}: is undersampled; expected a fully sampled scan")
    from fastmri_clgnet.benchmarks.weights_pictures import raw_scan, save_slices

    challenge = challenge_of(data_path)
    # first, since they are soon measured and may not be usable
    of_raw = {
        name: raw_scan(name, scan, files, CASES, output_path, device) for name, scan in raw.items()
    }
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
        if not result.volumes:
            raise InputError(result.failures[0])
        left_out = ""
        if result.failures:  # such as narrow volumes, which fastMRI's evaluation cannot compare
            more = f" ({len(result.failures)} in all)" if len(result.failures) > 1 else ""
            left_out = f"; left out{more}: {result.failures[0]}"
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
        tables[case] = Table(f"{mask}: mean over volumes of {data_path}{left_out}", rows, {})
        save_slices(output_path / case, data_path, folders, challenge, result.volumes)
    tables |= of_raw
    settings = {"data_path": data_path, **{f"weights {name}": file for name, file in files.items()}}
    write_tables(output_path / "weights", tables, settings)
    return tables
