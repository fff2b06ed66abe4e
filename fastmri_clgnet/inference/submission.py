"""fastMRI's submission files: written, and how they were made, which they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.files import atomic_path, check_space
from fastmri_clgnet.inference.network import Network

SETTINGS_ATTRIBUTE = "fastmri_clgnet"  # of a submission file: how it was made, as JSON


def describe(
    network: Network, checkpoint: Path | None, challenge: str, mask: Mask | None, precision: str
) -> dict[str, Any]:
    """How reconstructions are made; every submission file says it, beside its `data_digest`."""
    return {
        "model": getattr(network, "model_name", None) or type(network).__name__,
        "checkpoint": str(checkpoint),
        "weights": weights_digest(network.state_dict()),
        "challenge": challenge,
        "mask": None if mask is None else json.loads(json.dumps(asdict(mask))),
        "precision": precision,
        **getattr(network, "settings", {}),
    }


def weights_digest(state: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that name weights, the same for a checkpoint and its `export`."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def data_digest(path: Path) -> str:
    """What tells volumes of one name apart: shape, and the middle row of k-space of each slice."""
    with h5py.File(path, "r") as file:
        kspace = file["kspace"]
        digest = hashlib.sha256(str(kspace.shape).encode())
        for i in range(len(kspace)):
            digest.update(np.ascontiguousarray(kspace[i, ..., kspace.shape[-2] // 2, :]).tobytes())
        return digest.hexdigest()[:16]


def read_settings(path: Path) -> dict[str, Any] | None:
    """How a submission file was made; None if it does not say or is none."""
    try:
        with h5py.File(path, "r") as file:
            settings = json.loads(file.attrs[SETTINGS_ATTRIBUTE])
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return settings if isinstance(settings, dict) else None


def save_reconstruction(
    path: Path, images: npt.NDArray[np.float32], settings: Mapping[str, Any] | None
) -> None:
    """Write images (slices, height, width) by fastMRI's writer, and note how they were made."""
    import fastmri

    with atomic_path(path) as temporary:
        check_space({temporary: images.nbytes})
        fastmri.save_reconstructions({temporary.name: images}, temporary.parent)
        if settings is None:
            return
        with h5py.File(temporary, "r+") as file:
            file.attrs[SETTINGS_ATTRIBUTE] = json.dumps(settings)
