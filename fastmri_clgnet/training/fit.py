"""`fit`: Lightning's, from the last checkpoint to the end, or to Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from fastmri.pl_modules import FastMriDataModule, MriModule
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.training.checkpoints import checked, forget_requeued, last_checkpoint
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.stopping import SaveAndStop, Stopped


def fit(
    trainer: pl.Trainer,
    module: MriModule,
    samples: FastMriDataModule,
    config: Mapping[str, Any],
    ckpt_path: Path | str | None = None,
) -> int:
    """Train until the end, or until Ctrl-C or SIGTERM, and say then how to continue.

    Args:
        trainer: A trainer with the callback `SaveAndStop`.
        module: What to train.
        samples: Its samples.
        config: What is written to config.yaml.
        ckpt_path: As for `train`.

    Returns:
        0, 130 if Ctrl-C stopped it, 143 if SIGTERM did.

    Raises:
        InputError: If the checkpoint does not fit the module.
    """
    root = Path(trainer.default_root_dir)
    saver = next(each for each in trainer.callbacks if isinstance(each, SaveAndStop))
    checkpoint = last_checkpoint(ckpt_path, root)
    if checkpoint is not None:
        checked(checkpoint, module)
    if trainer.is_global_zero:
        if str(ckpt_path) == "none":
            forget_requeued(root)
        with atomic_path(root / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    if checkpoint is not None:
        say(f"Continuing from {checkpoint} (--ckpt_path none starts over)")
    stopped = False
    try:
        with saver.listening():
            trainer.fit(module, samples, ckpt_path=checkpoint)
    except (Stopped, SIGTERMException):
        stopped = True
    except Exception as error:
        several = trainer.world_size > 1 and not isinstance(error, InputError)
        if several and saver.path.is_file():
            say(f"\nStopped by an error. The same command continues from {saver.path}")
        raise
    if stopped or saver.asked_to_stop:
        if saver.path.is_file():
            hint = "" if ckpt_path is None else ", without --ckpt_path,"
            say(f"\nStopped. The same command{hint} continues from {saver.path}")
        else:
            say("\nStopped before the first checkpoint. The same command starts again.")
        return 143 if trainer.received_sigterm else 130
    if trainer.is_global_zero:
        forget_requeued(root)
    trainer.strategy.barrier()
    return 0
