"""Lightning's trainer as it is made here, and what it keeps to itself."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from fastmri_clgnet.errors import InputError
from fastmri_clgnet.run_folder import TENSORBOARD
from fastmri_clgnet.training.checkpoints import CheckpointFiles
from fastmri_clgnet.training.distributed import say

MAX_EPOCHS = 50  # where neither epochs, steps nor time are asked for
_NO_LIMIT: dict[str, list[Any]] = {
    "max_epochs": [None],
    "max_steps": [None, -1],
    "max_time": [None],
    "fast_dev_run": [None, False],
}
# arguments of Lightning's trainer that are settled here
OWN = {
    "callbacks", "default_root_dir", "enable_checkpointing", "limit_test_batches", "logger",
    "plugins", "use_distributed_sampler",
}  # fmt: skip
_POSITIVE = (
    "accumulate_grad_batches", "check_val_every_n_epoch", "limit_train_batches",
    "val_check_interval",
)  # fmt: skip
_STOPPED = (
    "\nStopped outside of the training. The same command does this again (with ckpt_path none it "
    "would start over)."
)
# Lightning's remarks that would mislead
_MISLEADING = (
    # its "using 32 bits instead" is about sizes in a table
    ".*is not supported by the model summary.*",
    # of its own code, on torch's newest pytree
    ".*treespec, LeafSpec.*",
    # fastMRI sums over processes itself
    ".*sync_dist=True.*",
    # the batches follow from where the training is
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    # a run continues in its own folder
    ".*Checkpoint directory .* exists and is not empty.*",
    # a validation needs none
    ".*callbacks used to create the checkpoint need to be provided.*",
    # a training that continues at the end of an epoch, and ends before the next validation
    ".*could not find the monitored key.*",
)


def make_trainer(
    root: Path,
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback] | None = None,
    logger: bool = False,
) -> pl.Trainer:
    """Make Lightning's trainer; without callbacks it only validates and tests.

    Raises an `InputError` if a setting, an argument of Lightning's Trainer, cannot be used.
    """
    own = OWN & settings.keys()
    if own:
        raise InputError(f"trainer: {', '.join(sorted(own))} cannot be set here")
    if str(settings.get("precision")) in ("16-true", "bf16-true"):
        raise InputError(
            f"precision {settings['precision']}: MR images of 1e-5 and Fourier transforms need "
            "float32; use 16-mixed or bf16-mixed"
        )
    for name in _POSITIVE:
        if isinstance(settings.get(name), int | float) and settings[name] <= 0:
            raise InputError(f"{name} {settings[name]}: expected more than 0")
    chosen = dict(settings)
    if all(settings.get(name) in values for name, values in _NO_LIMIT.items()):
        chosen["max_epochs"] = MAX_EPOCHS
    if callbacks is None:
        chosen["enable_model_summary"] = False
    logs = TensorBoardLogger(root, TENSORBOARD, "", default_hp_metric=False) if logger else False
    try:
        return pl.Trainer(
            default_root_dir=root,
            callbacks=[*(callbacks or []), *([LearningRateMonitor("epoch")] if logger else [])],
            logger=logs,
            enable_checkpointing=callbacks is not None,
            # fastMRI's data module makes the samplers that keep volumes on one device
            use_distributed_sampler=False,
            plugins=[CheckpointFiles()],
            **chosen,
        )
    except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
        raise InputError(f"{error} Omit or change this argument of the trainer") from error


def set_seed(seed: int) -> None:
    """Seed all generators of this process."""
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed}: expected 0 to {2**32 - 1}")
    pl.seed_everything(seed, workers=True, verbose=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop Lightning's remarks that mislead, and translate its exceptions."""

    def is_no_tip(record: logging.LogRecord) -> bool:
        # a tip to upload what was trained to its cloud; how averaged weights are continued
        return not any(each in record.getMessage() for each in ("Tip:", "current_model_state"))

    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    logger.addFilter(is_no_tip)
    try:
        with warnings.catch_warnings():
            for message in _MISLEADING:
                warnings.filterwarnings("ignore", message=message)
            yield
    except MisconfigurationException as error:
        raise InputError(str(error)) from error
    except SIGTERMException as error:  # outside of the training; it says nothing of a failure
        say(_STOPPED)
        raise SystemExit(143) from error
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        say(_STOPPED)  # Lightning's status would be 1
        raise SystemExit(130) from error
    finally:
        logger.removeFilter(is_no_tip)
