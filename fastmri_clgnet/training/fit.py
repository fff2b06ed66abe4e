"""`fit`: Lightning's, from the last checkpoint to the end, or to Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from fastmri.pl_modules import MriModule
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path
from fastmri_clgnet.training.checkpoints import (
    CheckpointFiles,
    checked,
    forget_requeued,
    last_checkpoint,
)
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.stopping import SaveAndStop, Stopped
from fastmri_clgnet.training.trainer import make_trainer


def fit(
    module: MriModule,
    samples: CheckedDataModule,
    root: Path,
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback],
    saver: SaveAndStop,
    config: Mapping[str, Any],
    ckpt_path: Path | str | None = None,
    logger: bool = True,
) -> int:
    """Train until the end, or until Ctrl-C or SIGTERM, and say how to continue then.

    Args:
        module: What to train.
        samples: Its samples.
        root: The run's folder.
        settings: Arguments of Lightning's Trainer by name.
        callbacks: Lightning's callbacks, beside the next one.
        saver: What saves last.ckpt within an epoch.
        config: What is written to config.yaml.
        ckpt_path: As for `train`.
        logger: Whether to log to TensorBoard.

    Returns:
        0, 130 where Ctrl-C stopped it, 143 where SIGTERM did.

    Raises:
        InputError: If the checkpoint does not fit.
    """
    checkpoint = last_checkpoint(ckpt_path, root)
    loaded = {} if checkpoint is None else {checkpoint: checked(checkpoint, module)}
    trainer = make_trainer(root, settings, [*callbacks, saver], logger, CheckpointFiles(loaded))
    if trainer.is_global_zero:
        if ckpt_path == "none":
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
