"""Makes the masks of a run from its flags."""

from __future__ import annotations

from argparse import Namespace

from fastmri.data.subsample import MaskFunc, create_mask_for_mask_type

from fastmri_clgnet.errors import InputError, words

MASK_FLAGS = ("mask_type", "accelerations", "center_fractions")  # what settles a mask, but the seed


def make_mask(args: Namespace) -> MaskFunc:
    """Make the host's mask function, seeded, from the mask flags."""
    if len(args.center_fractions) != len(args.accelerations):
        raise InputError(
            f"--accelerations {words(args.accelerations)} has {len(args.accelerations)} values, "
            f"--center_fractions {words(args.center_fractions)} has {len(args.center_fractions)}: "
            "give one centre fraction for each acceleration, such as 0.08 for 4 and 0.04 for 8"
        )
    for fraction, acceleration in zip(args.center_fractions, args.accelerations, strict=True):
        if acceleration < 1 or not 0 < fraction < 1 or fraction * acceleration > 1:
            raise InputError(
                f"acceleration {acceleration} with centre fraction {fraction}: the centre alone "
                "would be more than all columns to sample; expected 0 < fraction <= 1 / "
                "acceleration"
            )
    mask_func = create_mask_for_mask_type(args.mask_type, args.center_fractions, args.accelerations)
    mask_func.rng.seed(args.seed)
    return mask_func
