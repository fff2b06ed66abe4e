"""Undersampling masks: the one description of them, and how they are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from fastmri_clgnet.errors import InputError, words

if TYPE_CHECKING:
    from fastmri.data.subsample import MaskFunc

MaskType = Literal[
    "random", "equispaced", "equispaced_fraction", "magic", "magic_fraction", "mixed", "all"
]


# what each mask of these types is one of
_DRAWN_AMONG: dict[str, tuple[MaskType, ...]] = {
    "mixed": ("random", "equispaced_fraction"),
    "all": ("random", "equispaced_fraction", "magic_fraction"),
}


@dataclass(frozen=True)
class Mask:
    """What the host's masks of k-space columns are made from.

    Args:
        mask_type: Type of k-space mask, fastMRI's name; or mixed: random or equispaced_fraction,
            drawn for each slice or volume; or all: one of these or magic_fraction.
        accelerations: Acceleration factors; one is drawn for each slice, or for each volume by its
            file name where a split has to be the same each time.
        center_fractions: Fraction of columns in the fully sampled centre, one for each
            acceleration; above 1 the number of columns, whatever the width.

    Example:
        >>> mask = Mask("random", accelerations=(4, 8), center_fractions=(0.08, 0.04))
        >>> columns, num_low_frequency = mask.make(seed=0)((1, 368, 1))
        >>> columns.shape
        torch.Size([1, 368, 1])

    Raises:
        InputError: If the type is unknown, or fractions and accelerations do not fit each other.
    """

    mask_type: MaskType = "random"
    accelerations: tuple[int, ...] = (4,)
    center_fractions: tuple[float, ...] = (0.08,)

    def __post_init__(self) -> None:
        """Refuse what no mask can be made of."""
        fractions, accelerations = self.center_fractions, self.accelerations
        if self.mask_type not in get_args(MaskType):
            raise InputError(
                f"mask_type {self.mask_type}: expected one of {words(get_args(MaskType))}"
            )
        for name, values in (("accelerations", accelerations), ("center_fractions", fractions)):
            if not isinstance(values, list | tuple) or not all(isinstance(n, Real) for n in values):
                raise InputError(f"{name} {values!r}: expected several numbers, such as (4,)")
            object.__setattr__(self, name, tuple(values))  # also of a list: masks are compared
        if len(fractions) != len(accelerations) or not fractions:
            raise InputError(
                f"accelerations {words(accelerations)} has {len(accelerations)} values, "
                f"center_fractions {words(fractions)} has {len(fractions)}: give one centre "
                "fraction for each acceleration, such as 0.08 for 4 and 0.04 for 8"
            )
        for fraction, acceleration in zip(fractions, accelerations, strict=True):
            is_number = fraction > 1 and fraction == round(fraction)
            fits = is_number or (0 < fraction < 1 and fraction * acceleration <= 1)
            if acceleration < 1 or not fits:
                raise InputError(
                    f"acceleration {acceleration} with centre fraction {fraction}: the centre "
                    "alone would be more than all columns to sample; expected 0 < fraction <= 1 / "
                    "acceleration, or a whole number of columns above 1"
                )

    def __str__(self) -> str:
        """Say what it is in a line of text."""
        return f"mask {self.mask_type}, {words(self.accelerations)}x"

    def make(self, seed: int = 0) -> MaskFunc:
        """Make fastMRI's mask function.

        Args:
            seed: Of the masks that are not drawn by file name.

        Returns:
            The mask function.
        """
        from fastmri_clgnet.data.mask_functions import make_mask_func  # which needs torch

        mask_func: MaskFunc = make_mask_func(
            self.mask_type, self.center_fractions, self.accelerations
        )
        mask_func.rng.seed(seed)
        return mask_func

    def draw(self, name: str, columns: int) -> tuple[npt.NDArray[np.bool_], int]:
        """Draw the mask of a volume, as for fastMRI's validation files: its name settles it.

        Args:
            name: File name, or what the volume is called.
            columns: Columns of its k-space.

        Returns:
            Which columns are kept, (columns,) bool, and how many are in the centre.
        """
        drawn, in_centre = self.make()((1, columns, 1), seed=mask_seed(name))
        kept: npt.NDArray[np.bool_] = drawn.numpy().ravel().astype(bool)
        return kept, in_centre

    def check(self, widths: Iterable[int]) -> None:
        """Raise if the host cannot draw a mask of each acceleration at each of the widths."""
        for width in sorted(set(widths)):
            for fraction, factor in zip(self.center_fractions, self.accelerations, strict=True):
                try:
                    if fraction > 1 and fraction * factor > width:
                        raise ValueError("at least as many columns as would be sampled")
                    for kind in _DRAWN_AMONG.get(self.mask_type, (self.mask_type,)):
                        Mask(kind, (factor,), (fraction,)).make()((1, width, 1), seed=0)
                except (ValueError, ArithmeticError, IndexError) as error:
                    raise InputError(
                        f"mask {self.mask_type}: none of acceleration {factor} with centre "
                        f"fraction {fraction} for {width} columns, since the centre leaves no "
                        "others to sample; give a smaller centre fraction"
                    ) from error


def mask_seed(name: str) -> tuple[int, ...]:
    """The seed of a volume's mask: the host's for NAME.h5, whatever the file's ending is.

    Args:
        name: File name, whose last ending is replaced; or what the volume is called.

    Returns:
        What fastMRI's masks take as `seed`.
    """
    return tuple(map(ord, fastmri_name(name)))


def fastmri_name(name: str) -> str:
    """The name that a file's volume has in fastMRI's format; one without ending stays."""
    return Path(name).with_suffix(".h5").name if Path(name).suffix else name
