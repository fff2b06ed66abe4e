"""Stopping a training so that the next one goes on as if it had not been stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from fastmri.pl_modules import FastMriDataModule, MriModule
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fastmri_clgnet.data.seeds import derive_seed
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.run_folder import LAST, checkpoint_dir
from fastmri_clgnet.training.checkpoints import (
    checked,
    expect_same_task,
    expect_same_volumes,
    last_checkpoint,
)
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.folder import write_config
from fastmri_clgnet.training.recipe import expect_same_recipe


class Stopped(BaseException):
    """Ctrl-C or SIGTERM ended the training."""


class ValidateAtTheEnd(Callback):
    """Validates after the last of max_steps, also amid an epoch, which Lightning leaves out.

    Without, best.ckpt would be of the last whole epoch, and lack the end of the learning rate's
    cycle. It has to stand in front of `SaveAndStop`.
    """

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Say so once the last step is done."""
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True


class SaveAndStop(Callback):
    """Writes last.ckpt between two steps: by the clock, before a validation, and when stopped.

    Ctrl-C and SIGTERM let the current step end, so that weights, optimizer and counters in the file
    belong together. A second Ctrl-C stops at once and writes nothing. A validation stops at once:
    it is repeated when the training continues, from the step before it. If gradients are
    accumulated, SIGTERM may come in the middle of a step: then the previous file is kept.

    Before each batch torch's generators are seeded with seed, process, epoch and batch. So a step
    draws the same, such as negatives and dropout, whether or not the run was stopped before it, and
    no state of generators has to be kept.

    `ModelCheckpoint(train_time_interval=...)` is no replacement for the clock: it also saves right
    before a validation, which Lightning leaves out when it continues from there, and it never saves
    under manual optimization, which fine-tuning against bands uses.
    """

    def __init__(self, root: Path, seed: int, minutes: float) -> None:
        """Take the run's folder and seed, and the minutes between two writings in an epoch."""
        self.path = checkpoint_dir(root) / f"{LAST}.ckpt"
        self.seed = seed
        self.seconds = 60 * minutes
        self.asked_to_stop = False  # by Ctrl-C
        self._saved_at = time.monotonic()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle Ctrl-C meanwhile; Lightning handles SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Remember the first Ctrl-C, obey the second."""
        if self.asked_to_stop:
            raise Stopped
        self.asked_to_stop = True
        # not by print, which may be what was interrupted
        os.write(2, b"\nStopping after this step; Ctrl-C again stops at once.\n")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the CPU's and the accelerators' generators."""
        torch.manual_seed(
            derive_seed(self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save or stop, if it is time and a step has just ended, unless a validation is next.

        Lightning would leave out that validation when it continues from the file.
        """
        every, any_of = trainer.accumulate_grad_batches, trainer.strategy.reduce_boolean_decision
        done = batch_idx + 1
        to_validation = _batches_to_validation(trainer, done)
        if trainer.is_last_batch or done % every or to_validation == 0:
            return
        stop = any_of(self.asked_to_stop or trainer.received_sigterm, all=False)
        is_time = any_of(time.monotonic() - self._saved_at > self.seconds, all=False)
        if stop or is_time or to_validation <= every:
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved_at = time.monotonic()
        if stop:
            raise Stopped

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        """Stop in the middle of a validation."""
        if self.asked_to_stop or trainer.received_sigterm:
            raise Stopped


def _batches_to_validation(trainer: pl.Trainer, done: int) -> float:
    """How many batches come before the next validation; infinity if this epoch has none."""
    if trainer.should_stop:
        return 0
    every, interval = trainer.check_val_every_n_epoch, trainer.val_check_batch
    left = float(trainer.num_training_batches - done)
    if every is None:  # the batches of all epochs are counted
        left, done = float("inf"), trainer.fit_loop.total_batch_idx + 1
    elif (trainer.current_epoch + 1) % every:
        return float("inf")
    return min(left, -done % interval) if isinstance(interval, int) else left


def fit(
    trainer: pl.Trainer,
    saver: SaveAndStop,
    module: MriModule,
    samples: FastMriDataModule,
    config: Mapping[str, Any],
    ckpt_path: Path | str | None = None,
) -> int:
    """Train until the end, or until Ctrl-C or SIGTERM, and say then how to continue.

    Returns 0, 130 for Ctrl-C, 143 for SIGTERM. Raises an `InputError` if the checkpoint to continue
    from does not fit the module.
    """
    root = Path(trainer.default_root_dir)
    checkpoint, done = last_checkpoint(ckpt_path, root), None
    if checkpoint is not None:
        used = trainer.callbacks  # type: ignore[attr-defined]  # which Lightning adds to it
        contents = checked(checkpoint, module)
        expect_same_recipe(checkpoint, contents, used, module.hparams)
        if ckpt_path is None:
            expect_same_volumes(checkpoint, contents, used)
            expect_same_task(checkpoint, contents, used)
        done = contents["global_step"]
    if trainer.is_global_zero:
        write_config(root, config)
    if checkpoint is not None:
        say(f"Continuing from {checkpoint} (ckpt_path none starts over)")
    stopped = False
    try:
        with saver.listening():
            trainer.fit(module, samples, ckpt_path=checkpoint)
    except (Stopped, SIGTERMException):
        stopped = True
    except ValueError as error:
        if "val_check_interval" not in str(error):  # more batches than an epoch has
            raise
        raise InputError(str(error)) from error
    except Exception as error:
        several = trainer.world_size > 1 and not isinstance(error, InputError)
        if several and saver.path.is_file():
            say(f"\nStopped by an error. The same command continues from {saver.path}")
        raise
    if stopped or saver.asked_to_stop:
        if saver.path.is_file():
            hint = "" if ckpt_path is None else ", without ckpt_path,"
            say(f"\nStopped. The same command{hint} continues from {saver.path}")
        else:
            say("\nStopped before the first checkpoint. The same command starts again.")
        return 143 if trainer.received_sigterm else 130
    if trainer.global_step == done:
        say("Nothing was left to train; a higher max_epochs or max_steps goes on.")
    return 0
