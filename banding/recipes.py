"""The settings of fastMRI's banding_removal, as values of `train_banding`'s flags."""

from __future__ import annotations

from typing import Any, Literal

Recipe = Literal["ours", "released", "released_pretraining"]

_RELEASED: dict[str, Any] = {
    "adam_betas": (0.9, 0.999),
    "lr_step_size": 40,
    "warmup_epochs": 0,
    "l1_units": "data",
    "keep_readout": True,
    "keep": "last",
    "mask_type": "magic",
    "accelerations": (4,),
    "center_fractions": (16.0,),
}
RECIPES: dict[str, dict[str, Any]] = {
    "ours": {},
    # an epoch is a fifth of the slices, drawn again each time
    "released": {
        **_RELEASED, "max_epochs": 1000, "limit_train_batches": 0.2, "adversary_in_chans": 3,
    },
    "released_pretraining": {**_RELEASED, "max_epochs": 100, "lr": 3e-4, "num_adversaries": 0},
}  # fmt: skip
WARNING = (
    "The authors of this recipe warn that it is unstable: other seeds give other results, and some "
    "runs fail. Even the best models leave artefacts in slices with little or no anatomy. Look at "
    "the pictures."
)
