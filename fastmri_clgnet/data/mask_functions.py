"""The host's mask functions, and those that draw among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fastmri.data.subsample import (
    EquispacedMaskFractionFunc,
    MagicMaskFractionFunc,
    MaskFunc,
    RandomMaskFunc,
    create_mask_for_mask_type,
)


def make_mask_func(
    mask_type: str, center_fractions: Sequence[float], accelerations: Sequence[int]
) -> MaskFunc:
    """The mask function of a type, the host's, "mixed" or "all"; arguments as of `Mask`."""
    centres = [CentreLines(n) if n > 1 else n for n in center_fractions]
    arguments = centres, list(accelerations)
    if mask_type == "mixed":
        return RandomOrEquispacedMaskFunc(*arguments)
    if mask_type == "all":
        return AnyMaskFunc(*arguments)
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


class AnyMaskFunc(MaskFunc):
    """Draws for each mask which of the host's three kinds of exact acceleration it is.

    The kinds are random, equispaced_fraction and magic_fraction, a third each.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        kinds = (RandomMaskFunc, EquispacedMaskFractionFunc, MagicMaskFractionFunc)
        self.kinds = [kind(*arguments) for kind in kinds]
        for kind in self.kinds:
            kind.rng = self.rng  # which the host seeds

    def sample_mask(
        self, shape: Sequence[int], offset: int | None
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Give the columns of the centre, those around it, and how many are in the centre."""
        made: tuple[torch.Tensor, torch.Tensor, int] = self._draw_kind().sample_mask(shape, offset)
        return made

    def choose_acceleration(self) -> tuple[float, int]:
        """Draw centre fraction and acceleration as a mask does: after its kind."""
        drawn: tuple[float, int] = self._draw_kind().choose_acceleration()
        return drawn

    def _draw_kind(self) -> MaskFunc:
        """Draw the kind of a mask, which comes first."""
        return self.kinds[self.rng.randint(len(self.kinds))]
