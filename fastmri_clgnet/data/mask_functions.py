"""The host's mask functions, and one that draws among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastmri.data.subsample import (
    EquispacedMaskFractionFunc,
    MaskFunc,
    RandomMaskFunc,
    create_mask_for_mask_type,
)


def make_mask_func(
    mask_type: str, center_fractions: Sequence[float], accelerations: Sequence[int]
) -> MaskFunc:
    """The mask function of a type, the host's or "mixed"; arguments as of `Mask`."""
    centres = [CentreLines(n) if n > 1 else n for n in center_fractions]
    arguments = centres, list(accelerations)
    if mask_type == "mixed":
        return RandomOrEquispacedMaskFunc(*arguments)
    return create_mask_for_mask_type(mask_type, *arguments)


class CentreLines(float):
    """A number of central columns in place of their fraction, which the host multiplies."""

    def __rmul__(self, num_cols: float) -> float:
        """Return the number itself, whatever the width."""
        return float(self)


class RandomOrEquispacedMaskFunc(RandomMaskFunc, EquispacedMaskFractionFunc):
    """Draws for each mask whether its outer columns are random or equispaced, half and half."""

    def calculate_acceleration_mask(
        self,
        num_cols: int,
        acceleration: int,
        offset: int | None,
        num_low_frequencies: int,
    ) -> np.ndarray:
        """Choose the columns outside of the centre; shape (num_cols,)."""
        kind = self.rng.choice([RandomMaskFunc, EquispacedMaskFractionFunc])
        columns: np.ndarray = kind.calculate_acceleration_mask(
            self, num_cols, acceleration, offset, num_low_frequencies
        )
        return columns
