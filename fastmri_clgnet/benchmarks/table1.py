"""The paper's Table 1: trains every method under one budget and evaluates its reconstructions."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.tables import LABELS, ZERO_FILLED, Table, write_tables

METHODS = tuple(name for name in LABELS if name != ZERO_FILLED)


def table1(
    data_path: Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    accelerations: Sequence[int] = (4, 8),
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (),
    method_flags: Mapping[str, str] | None = None,
    output_path: Path = Path("clgnet/benchmark"),
    training_flags: Sequence[str] = (),
) -> dict[str, Table]:
    """Measure NMSE, PSNR and SSIM of all methods, trained under one budget: the paper's Table 1.

    CLGNet, the U-Net and the comparison methods are trained for each acceleration, all under one
    budget. They and zero-filling are evaluated on the validation volumes, as fastMRI aggregates
    metrics, and a picture shows one slice by all methods. A method that fails does not stop the
    others. Flags that are not listed here go to train_clgnet, including --config. Another call
    skips finished trainings and continues interrupted ones.

    Args:
        data_path: fastMRI's root folder.
        steps: Training steps of each, in batches of --batch_size. Give either this or minutes.
        minutes: Wall time of each training, in minutes.
        accelerations: Acceleration factors, each with the centre fraction 0.32 / factor.
        methods: Methods to train, or to test without training: cs_wavelet, cs_tv (which need
            SigPy, extra: mri).
        seeds: Train each method once per seed, for the means and the range of the PSNR; by default
            once, with train_clgnet's seed.
        method_flags: Flags of train_clgnet for one method only, such as: clgnet '--chans 16'; a
            single flag needs a leading space, such as: clgvarnet ' --hard_dc=true'.
        output_path: Folder of the trainings, pictures, and of table1.md and table1.json.
        training_flags: Flags of train_clgnet, for all methods.

    Returns:
        One table per acceleration, such as "4x".

    Raises:
        InputError: If the arguments do not fit, or a folder holds a training with other flags.
    """
    settings = dict(locals())
    from fastmri_clgnet.benchmarks.training import (
        budget_flags,
        flags_for,
        name_seeds,
        save_picture,
        train_all,
    )

    own = {name: shlex.split(flags) for name, flags in (method_flags or {}).items()}
    for argument, given in (("method_flags", own), ("methods", methods)):
        unknown = set(given) - set(METHODS)
        if unknown:
            raise InputError(f"{argument} {words(unknown)}: expected one of {words(METHODS)}")
    ends = budget_flags(steps, minutes)
    budget = f"{minutes:g} minutes" if minutes is not None else f"{steps} steps"
    seeded = name_seeds(seeds)
    tables: dict[str, Table] = {}
    for acceleration in accelerations:
        folder = output_path / f"table1_{acceleration}x"
        common = ["--data_path", str(data_path), "--accelerations", str(acceleration)]
        # as in fastMRI, 0.08 at 4x, 0.04 at 8x: the same share of the sampled columns
        common += ["--center_fractions", f"{0.32 / acceleration:g}", *training_flags, *ends]
        runs = {
            name: ["--model", name, *flags_for(name, common), *own.get(name, [])]
            for name in methods
        }
        rows = train_all(runs, folder, seeds)
        title = f"{acceleration}x: validation volumes after {budget} of training each, {seeded}"
        tables[f"{acceleration}x"] = Table(title, rows, LABELS)
        # after each acceleration, so that a later failure loses no results
        write_tables(output_path / "table1", tables, settings)
        trained = {name: flags for name, flags in runs.items() if "failed" not in rows[name]}
        try:
            save_picture(output_path / f"table1_{acceleration}x.png", trained, folder, seeds)
        except InputError as error:
            print(f"error: no picture: {error}", file=sys.stderr)
    return tables
