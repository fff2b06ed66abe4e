"""The demo data set: simulated heads in fastMRI's format, made on first use."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock
from tqdm import tqdm

from fastmri_clgnet.files import make_folder
from fastmri_clgnet.formats.fastmri import write_fastmri_file
from fastmri_clgnet.parallel import usable_cores

VERSION = 1  # of the data: a change of anything below makes a new folder
SIZE = 128  # pixels across the field of view
OVERSAMPLING = 2  # of the readout
N_COILS = 4
NOISE = 0.01  # standard deviation of each part of the complex noise; the scalp's intensity is 1
SCALE = 1e-4  # fastMRI's images are of this order
ACCELERATION, CENTER_FRACTION = 4, 0.08  # of the test split
SPLITS = {"train": (8, 6), "val": (2, 6), "test": (2, 6)}  # volumes, and the slices of each


def default_demo_dir() -> Path:
    """The folder that demo data is cached in: the operating system's, for this user."""
    return platformdirs.user_cache_path("fastmri_clgnet") / "demo"


def simulate_volume(
    challenge: str, n_slices: int, seed: tuple[int, ...]
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32]]:
    """k-space (slices, [coils,] rows, columns) of a random head, and its image."""
    from fastmri_clgnet.data.phantom import (
        brain_phantom,
        coil_sensitivities,
        phantom_kspace,
        smooth_phase,
    )

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
    from fastmri.data.subsample import RandomMaskFunc

    seed = (VERSION, *challenge.encode(), list(SPLITS).index(split), index)
    kspace, target = simulate_volume(challenge, SPLITS[split][1], seed)
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


def make_demo_dataset(challenge: str, demo_dir: Path | None = None) -> Path:
    """Return the folder of the demo data set, making it where it is missing.

    It is made under a temporary name and renamed when complete, so that an interrupted call leaves
    nothing that looks like a data set. Of several processes at once one makes it, the others wait.

    Args:
        challenge: "singlecoil" or "multicoil".
        demo_dir: Folder to hold it; by default a cache folder of the user.

    Returns:
        A folder with {challenge}_train, {challenge}_val and {challenge}_test.

    Example:
        >>> folder = Path(f"demo/singlecoil_v{VERSION}")
        >>> folder.mkdir(parents=True)  # in place of a first call, which takes half a minute
        >>> make_demo_dataset("singlecoil", Path("demo")) == folder
        True
    """
    root = (default_demo_dir() if demo_dir is None else demo_dir) / f"{challenge}_v{VERSION}"
    if root.is_dir():
        return root
    make_folder(root.parent)
    with FileLock(root.parent / f".{root.name}.lock"):
        if not root.is_dir():
            temporary = root.with_name(f".{root.name}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)  # which a killed call left
            try:
                _write_dataset(temporary, challenge)
                temporary.rename(root)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return root


def _write_dataset(root: Path, challenge: str) -> None:
    """Write all volumes, several at once: NumPy and torch release the lock."""
    jobs = []
    for split, (n_volumes, _) in SPLITS.items():
        folder = root / f"{challenge}_{split}"
        folder.mkdir(parents=True)
        for index in range(n_volumes):
            jobs.append((folder / f"demo_{split}_{index}.h5", challenge, split, index))
    with ThreadPoolExecutor(usable_cores()) as pool:
        written = pool.map(lambda job: _write_volume(*job), jobs)
        for _ in tqdm(written, "Making the demo data set", len(jobs), unit="volume"):
            pass
