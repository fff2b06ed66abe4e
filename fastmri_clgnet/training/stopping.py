"""Stopping a training so that the next one goes on as if it had not been stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fastmri_clgnet.data.seeded_slices import progress
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.training.distributed import say


class SaveAndStop(Callback):
    """Writes last.ckpt between two steps: every now and then, before a validation, when stopped.

    Ctrl-C and SIGTERM let the step under way end, so that weights, optimizer and counters in the
    file belong together; a second Ctrl-C stops at once and writes nothing. During a validation,
    which is done again when the training goes on, nothing has to be written: it was before the
    last step. Where gradients are accumulated SIGTERM may come in the middle of a step: then the
    file before it stands. The death of another process, which is an error of communication in the
    first one, also writes the file.

    Attributes:
        asked_to_stop: Whether Ctrl-C was pressed.
        interrupted: Whether Ctrl-C or SIGTERM has ended the training.
    """

    def __init__(self, path: Path, minutes: float = 30.0) -> None:
        """Take the file and the time between two writings within an epoch."""
        self.path = path
        self.seconds = 60 * minutes
        self.interrupted = False
        self.asked_to_stop = False
        self._saved_at = time.monotonic()
        self._saved_batch = -1

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to Ctrl-C; Lightning calls no hook of a callback's that could end it for sure."""
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
            raise KeyboardInterrupt
        self.asked_to_stop = True
        # not by print, which may be what was interrupted
        os.write(2, b"\nStopping after this step; Ctrl-C again stops at once.\n")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save or stop, if it is time and no gradients are being accumulated."""
        if batch_idx % trainer.accumulate_grad_batches:
            return
        strategy = trainer.strategy
        if strategy.reduce_boolean_decision(self.asked_to_stop, all=False):
            self.asked_to_stop = True
            self._save_before_batch(trainer)
            raise KeyboardInterrupt
        is_time = time.monotonic() - self._saved_at > self.seconds
        if _validates_next(trainer, batch_idx) or strategy.reduce_boolean_decision(
            is_time, all=False
        ):
            self._save_before_batch(trainer)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        """Stop in the middle of a validation, unless it came unforeseen, by --max_time for one."""
        unsaved = trainer.fit_loop.total_batch_idx - self._saved_batch
        if unsaved > trainer.accumulate_grad_batches:
            return
        if self.asked_to_stop:
            raise KeyboardInterrupt
        if trainer.received_sigterm:
            raise SIGTERMException

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save, if training was under way and what happened leaves a whole state."""
        if isinstance(exception, KeyboardInterrupt):
            self.interrupted = True
        elif isinstance(exception, SIGTERMException):
            self.interrupted = True
            self._save(trainer)
        elif trainer.world_size > 1 and not isinstance(exception, InputError):
            # the exception itself ends the run, whatever becomes of the file
            with contextlib.suppress(Exception):
                self._save_alone(trainer)
            if self.path.is_file():
                say(f"\nStopped by an error. The same command continues from {self.path}")

    def _save_before_batch(self, trainer: pl.Trainer) -> None:
        """Save as if the batch that has been fetched had not been."""
        batches = trainer.fit_loop.epoch_loop.batch_progress
        for counts in (batches.total, batches.current):
            counts.ready -= 1
        self._save(trainer)
        for counts in (batches.total, batches.current):
            counts.ready += 1

    def _save(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint, all processes together."""
        if _between_steps(trainer):
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved_batch = trainer.fit_loop.total_batch_idx
        self._saved_at = time.monotonic()

    def _save_alone(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint in the first process without waiting for others: one may be dead."""
        if trainer.is_global_zero and _between_steps(trainer):
            checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            trainer.strategy.save_checkpoint(checkpoint, self.path)


def _between_steps(trainer: pl.Trainer) -> bool:
    """Whether a file of now would be whole: in an epoch, at whose end another callback writes it.

    Lightning stops behind any batch, also where gradients are being accumulated, which no file has.
    """
    _, n_batches = progress(trainer)
    begun = trainer.training and n_batches > 0 and trainer.global_step > 0
    return begun and n_batches % trainer.accumulate_grad_batches == 0


def _validates_next(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether a validation follows this step."""
    every = trainer.check_val_every_n_epoch
    if every is not None and (trainer.current_epoch + 1) % every:
        return False
    left = trainer.num_training_batches - batch_idx
    if isinstance(trainer.val_check_batch, int):
        done = trainer.fit_loop.total_batch_idx if every is None else batch_idx
        left = min(left, trainer.val_check_batch - done % trainer.val_check_batch)
    return left <= trainer.accumulate_grad_batches
