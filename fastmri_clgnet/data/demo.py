"""The demo data set: simulated heads in fastMRI's format, made on first use."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import platformdirs
from fastmri.data.subsample import RandomMaskFunc
from filelock import FileLock
from tqdm import tqdm

from fastmri_clgnet.data.fastmri_file import write_fastmri_file
from fastmri_clgnet.data.phantom import (
    brain_phantom,
    coil_sensitivities,
    phantom_kspace,
    smooth_phase,
)

VERSION = 1  # of the data: a change of anything below makes a new folder
SIZE = 128  # pixels across the field of view
OVERSAMPLING = 2  # of the readout
N_COILS = 4
NOISE = 0.01  # standard deviation of each part of the complex noise; the scalp's intensity is 1
SCALE = 1e-4  # fastMRI's images are of this order
ACCELERATION, CENTER_FRACTION = 4, 0.08  # of the test split


class Split(NamedTuple):
    """Volumes of one part of the data set, and the slices of each."""

    n_volumes: int
    n_slices: int


SPLITS = {"train": Split(8, 6), "val": Split(2, 6), "test": Split(2, 6)}


def default_demo_dir() -> Path:
    """The folder that demo data is cached in: the operating system's, for this user."""
    return platformdirs.user_cache_path("fastmri_clgnet") / "demo"


def simulate_volume(
    challenge: str, n_slices: int, seed: tuple[int, ...]
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32]]:
    """Simulate one volume of a random head.

    Args:
        challenge: "singlecoil" or "multicoil".
        n_slices: Number of slices.
        seed: Names the volume: the same seed gives the same volume.

    Returns:
        k-space (slices, [coils,] rows, columns) complex64 with noise, and the root-sum-of-squares
        image of it, (slices, height, width) float32.
    """
    rng = np.random.default_rng(seed)
    shape = rng.uniform((0.40, 0.31, -0.15, -0.4), (0.45, 0.37, 0.15, -0.2))
    single = challenge == "singlecoil"
    modulation = smooth_phase(rng) if single else coil_sensitivities(rng, N_COILS)
    kspace = np.stack(
        [
            phantom_kspace(brain_phantom(rng, shape, level), modulation, SIZE, OVERSAMPLING)
            for level in np.linspace(0.1, 0.8, n_slices)
        ]
    )
    noise = rng.normal(size=(2, *kspace.shape))
    kspace = SCALE * (kspace + NOISE * (noise[0] + 1j * noise[1]))
    # NumPy's FFT, centred and orthonormal as fastmri.ifft2c
    image = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace, axes=(-2, -1)), norm="ortho"), axes=(-2, -1)
    )
    margin = (OVERSAMPLING - 1) * SIZE // 2
    target = np.sqrt((np.abs(image) ** 2).sum(axis=1))[:, margin : margin + SIZE]
    if single:
        kspace = kspace[:, 0]
    return kspace.astype(np.complex64), target.astype(np.float32)


def _write_volume(path: Path, challenge: str, split: str, index: int) -> None:
    """Simulate and write one volume; the test split's is undersampled and has no target."""
    n_slices = SPLITS[split].n_slices
    seed = (VERSION, *challenge.encode(), list(SPLITS).index(split), index)
    kspace, target = simulate_volume(challenge, n_slices, seed)
    if split != "test":
        write_fastmri_file(path, kspace, target, acquisition="SIMULATED")
        return
    mask_func = RandomMaskFunc([CENTER_FRACTION], [ACCELERATION])
    mask, num_low_frequency = mask_func((1, SIZE, 1), seed=seed)
    sampled = mask.numpy().ravel().astype(bool)
    write_fastmri_file(
        path,
        kspace * sampled,
        mask=sampled,
        recon_size=(SIZE, SIZE),
        acquisition="SIMULATED",
        attributes={"acceleration": ACCELERATION, "num_low_frequency": int(num_low_frequency)},
    )


def make_demo_dataset(
    challenge: str, demo_dir: Path | None = None, progress_bar: bool = True
) -> Path:
    """Return the folder of the demo data set, making it where it is missing.

    It is made under a temporary name and renamed when complete, so that an interrupted call leaves
    nothing that looks like a data set. Of several processes at once one makes it, the others wait.

    Args:
        challenge: "singlecoil" or "multicoil".
        demo_dir: Folder to hold it; by default a cache folder of the user.
        progress_bar: Whether to show one.

    Returns:
        A folder with {challenge}_train, {challenge}_val and {challenge}_test.
    """
    root = (default_demo_dir() if demo_dir is None else demo_dir) / f"{challenge}_v{VERSION}"
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.parent / f".{root.name}.lock"):
        if not root.is_dir():
            _make_dataset(challenge, root, progress_bar)
    return root


def _make_dataset(challenge: str, root: Path, progress_bar: bool) -> None:
    """Make the data set under a temporary name, then rename it; remove what a killed call left."""
    for left in root.parent.glob(f".{root.name}.*/"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    temporary.chmod(0o755)  # mkdtemp gives the folder to its user alone
    try:
        jobs = []
        for split, (n_volumes, _) in SPLITS.items():
            folder = temporary / f"{challenge}_{split}"
            folder.mkdir()
            jobs += [
                (folder / f"demo_{split}_{index}.h5", challenge, split, index)
                for index in range(n_volumes)
            ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy and torch release the lock
            futures = [pool.submit(_write_volume, *job) for job in jobs]
            try:
                for future in tqdm(
                    futures, "Making the demo data set", unit="volume", disable=not progress_bar
                ):
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        try:
            temporary.rename(root)
        except OSError:
            if not root.is_dir():  # another process was faster, where the lock has no effect
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
