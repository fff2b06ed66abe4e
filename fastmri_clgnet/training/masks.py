"""Makes the masks of a run from its flags."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import NamedTuple

from fastmri.data.subsample import MaskFunc, create_mask_for_mask_type

from fastmri_clgnet.errors import InputError, words

MASK_FLAGS = ("mask_type", "accelerations", "center_fractions")  # what settles a mask, but the seed


class MaskSettings(NamedTuple):
    """What a mask is made from.

    Args:
        mask_type: The host's name of it.
        center_fractions: Fraction of columns in the fully sampled centre, for each acceleration.
        accelerations: One is drawn for each slice or volume.
        flags: How the flags of center_fractions and accelerations are called.
    """

    mask_type: str
    center_fractions: list[float]
    accelerations: list[int]
    flags: tuple[str, str] = ("--center_fractions", "--accelerations")

    def __str__(self) -> str:
        """Say what it is in a line of text."""
        return f"mask {self.mask_type}, {words(self.accelerations)}x"


def train_mask(args: Namespace) -> MaskSettings:
    """What the training's masks are made from."""
    return MaskSettings(args.mask_type, args.center_fractions, args.accelerations)


def val_mask(args: Namespace) -> MaskSettings:
    """What the masks of validation, and of --test_split val, are made from.

    Args:
        args: With the mask flags; where the --val_ ones are not given, the training's hold.

    Returns:
        The settings.

    Raises:
        InputError: If one of --val_center_fractions and --val_accelerations is given alone.
    """
    settings = train_mask(args)
    if args.val_mask_type is not None:
        settings = settings._replace(mask_type=args.val_mask_type)
    given = (args.val_center_fractions, args.val_accelerations)
    if given == (None, None):
        return settings
    if None in given:
        raise InputError("--val_center_fractions and --val_accelerations: give both or neither")
    flags = ("--val_center_fractions", "--val_accelerations")
    return MaskSettings(settings.mask_type, *given, flags)


def make_mask(settings: MaskSettings, seed: int) -> MaskFunc:
    """Make the host's mask function, seeded.

    Args:
        settings: What to make it from.
        seed: Of the masks that are not drawn by file name.

    Returns:
        The mask function.

    Raises:
        InputError: If fractions and accelerations do not fit each other.
    """
    fractions, accelerations = settings.center_fractions, settings.accelerations
    if len(fractions) != len(accelerations):
        names = settings.flags
        raise InputError(
            f"{names[1]} {words(accelerations)} has {len(accelerations)} values, "
            f"{names[0]} {words(fractions)} has {len(fractions)}: "
            "give one centre fraction for each acceleration, such as 0.08 for 4 and 0.04 for 8"
        )
    for fraction, acceleration in zip(fractions, accelerations, strict=True):
        if acceleration < 1 or not 0 < fraction < 1 or fraction * acceleration > 1:
            raise InputError(
                f"acceleration {acceleration} with centre fraction {fraction}: the centre alone "
                "would be more than all columns to sample; expected 0 < fraction <= 1 / "
                "acceleration"
            )
    mask_func = create_mask_for_mask_type(settings.mask_type, fractions, accelerations)
    mask_func.rng.seed(seed)
    return mask_func


def make_masks(args: Namespace) -> list[MaskFunc]:
    """Make the mask functions of a run: for training, and for validation and test.

    Args:
        args: With the mask flags and seed.

    Returns:
        The two.

    Raises:
        InputError: As `val_mask` and `make_mask`.
    """
    return [make_mask(settings, args.seed) for settings in (train_mask(args), val_mask(args))]


def check_mask(settings: MaskSettings, widths: Iterable[int]) -> None:
    """Draw a mask of each acceleration at each width, since the host's masks cannot do all of them.

    Args:
        settings: What the masks are made from.
        widths: Numbers of columns of the k-space.

    Raises:
        InputError: If the host's mask function fails; it names acceleration and width.
    """
    for width in sorted(set(widths)):
        for pair in zip(settings.center_fractions, settings.accelerations, strict=True):
            try:
                create_mask_for_mask_type(settings.mask_type, *([each] for each in pair))(
                    (1, width, 1), seed=0
                )
            except (ValueError, ArithmeticError, IndexError) as error:
                raise InputError(
                    f"mask {settings.mask_type}: none of acceleration {pair[1]} with centre "
                    f"fraction {pair[0]} for {width} columns, since the centre leaves no others to "
                    "sample; give a smaller centre fraction"
                ) from error
