"""One volume of the demo data set: a simulated head, written as fastMRI's files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.data.phantom import brain_phantom, phantom_kspace
from fastmri_clgnet.formats.fastmri import write_fastmri_file
from fastmri_clgnet.formats.modulation import coil_sensitivities, smooth_phase

SIZE = 128  # pixels across the field of view
OVERSAMPLING = 2  # of the readout
N_COILS = 4
NOISE = 0.01  # standard deviation of each part of the complex noise; the scalp's intensity is 1
SCALE = 1e-4  # fastMRI's images are of this order
TEST_MASK = Mask("random", (4,), (0.08,))


def simulate_volume(
    challenge: str, n_slices: int, seed: tuple[int, ...]
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32]]:
    """k-space (slices, [coils,] rows, columns) of a random head, and its image."""
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


def write_volume(
    path: Path, challenge: str, n_slices: int, undersampled: bool, seed: tuple[int, ...]
) -> None:
    """Simulate and write one volume; an undersampled one has no target."""
    kspace, target = simulate_volume(challenge, n_slices, seed)
    if not undersampled:
        write_fastmri_file(path, kspace, target, acquisition="SIMULATED")
        return
    mask, num_low_frequency = TEST_MASK.make()((1, SIZE, 1), seed=seed)
    sampled = mask.numpy().ravel().astype(bool)
    write_fastmri_file(
        path,
        kspace * sampled,
        mask=sampled,
        recon_size=(SIZE, SIZE),
        acquisition="SIMULATED",
        attributes={
            "acceleration": TEST_MASK.accelerations[0],
            "num_low_frequency": int(num_low_frequency),
        },
    )
