"""A mask function that draws among the host's."""

from __future__ import annotations

import numpy as np
from fastmri.data.subsample import EquispacedMaskFractionFunc, RandomMaskFunc


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
