"""`train`: a whole run, from the check of the files to the picture of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastmri_clgnet.data.dataset import Data

if TYPE_CHECKING:
    from fastmri.pl_modules import MriModule
    from pytorch_lightning.callbacks import Callback

NanAction = Literal["stop", "skip"]
MAX_EPOCHS = 50  # where neither epochs nor steps are asked for


@dataclass(frozen=True)
class Run:
    """What `train` gives.

    Args:
        root: The run's folder.
        best: The checkpoint with the lowest validation_loss, or the last one where the training
            ended before its first validation; None where nothing was trained.
        metrics: "nmse", "psnr" (dB) and "ssim" of the validation volumes, for "zero-filled" and the
            model, as fastMRI aggregates them; empty where the training was stopped.
        status: 0, 130 where Ctrl-C stopped it, 143 where SIGTERM did. The same call goes on then.
        summary: The metrics as a table, and where everything is.

    Example:
        >>> run = Run(Path("run"), Path("run/checkpoints/best.ckpt"), {"CLGNet": {"ssim": 0.9}})
        >>> run.status, run.metrics["CLGNet"]["ssim"]
        (0, 0.9)
    """

    root: Path
    best: Path | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    status: int = 0
    summary: str = ""

    def __str__(self) -> str:
        """The table, and where everything is."""
        return self.summary


def train(
    module: MriModule,
    data: Data = Data(),
    *,
    trainer: Mapping[str, Any] | None = None,
    default_root_dir: Path | str | None = None,
    ckpt_path: Path | str | None = None,
    init_weights: Path | str | None = None,
    seed: int = 42,
    on_nan: NanAction = "stop",
    checkpoint_minutes: float = 30.0,
    logger: bool = True,
    callbacks: Sequence[Callback] = (),
    keep_best: bool = True,
    flags: Mapping[str, Any] | None = None,
) -> Run:
    """Train a module, validate and test it with its best checkpoint, and save submission files.

    The files are checked before anything is written. The same call continues from its last
    checkpoint, to the same weights as if it had never been stopped, wherever it was stopped. The
    module has the weights of the best checkpoint then, of the lowest validation_loss.

    Args:
        module: What to train: one of this package's Lightning modules, or any of fastMRI's with
            `Lightning2Mixin` in front. It is given k-space and mask if it has an attribute
            `on_kspace` that is true, else zero-filled magnitude images; with an attribute
            `needs_reference` that is true, the fully sampled k-space, too.
        data: The data and its masks; by default the simulated demo data set.
        trainer: Arguments of Lightning's Trainer by name, such as {"max_epochs": 20}; 50 epochs
            where neither epochs nor steps are given.
        default_root_dir: Folder of checkpoints, logs and reconstructions. Default:
            MODEL/CHALLENGE[_demo] here.
        ckpt_path: Checkpoint to continue from or to test: a file, 'last', 'best' or 'none' (start
            over). Default: the last one when training, the best one when testing, under
            default_root_dir.
        init_weights: Weights to begin with, for fine-tuning: a checkpoint, or a file of `export`.
            Unlike ckpt_path it brings no steps, no optimizer and no loss; a run that continues
            from a checkpoint of its own ignores it.
        seed: Seed of weights, data order, masks and negatives.
        on_nan: What NaN or Inf in a training sample, the loss or a gradient does. stop: end with
            an error that names step, file and slice. skip: take no step on that batch, and count
            it.
        checkpoint_minutes: Minutes after which last.ckpt is written again within an epoch; it also
            is at the end of an epoch, before a validation, and on Ctrl-C or SIGTERM.
        logger: Log to TensorBoard; else images go to PNG files.
        callbacks: More callbacks of Lightning.
        keep_best: Whether to keep best.ckpt, and to validate and test with it in the end. Without,
            the run ends with the training.
        flags: What config.yaml says, if not what this call has been given.

    Returns:
        Where everything is, and the metrics. Stopped by Ctrl-C or SIGTERM, it says so.

    Example:
        >>> from fastmri_clgnet import CLGNetModule, example_slice
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> scan = example_slice()  # in place of your own files
        >>> for split in ("train", "val"):
        ...     Path(f"DATA/multicoil_{split}").mkdir(parents=True)
        ...     write_fastmri_file(f"DATA/multicoil_{split}/a.h5", scan.kspace, scan.images())
        >>> module = CLGNetModule(chans=4, num_groups=1, num_blocks=1)
        >>> data = Data("DATA", "multicoil", batch_size=1, num_workers=0)
        >>> settings = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
        >>> run = train(module, data, trainer=settings, default_root_dir="run", logger=False)
        >>> run.best.name, list(run.metrics)
        ('best.ckpt', ['zero-filled', 'CLGNet'])

    Raises:
        InputError: If something cannot be used, or NaN or Inf comes up.
    """
    from fastmri_clgnet.training.session import Session

    session = Session(module, data, trainer or {}, default_root_dir, seed)
    return session.train(
        None if ckpt_path is None else str(ckpt_path),
        init_weights=init_weights,
        on_nan=on_nan,
        checkpoint_minutes=checkpoint_minutes,
        logger=logger,
        callbacks=callbacks,
        keep_best=keep_best,
        flags=flags,
    )


def test(
    module: MriModule,
    data: Data,
    *,
    trainer: Mapping[str, Any] | None = None,
    default_root_dir: Path | str | None = None,
    ckpt_path: Path | str | None = None,
    seed: int = 42,
) -> Path:
    """Write the submission files of the test split, with a checkpoint of `train`.

    Args:
        module: As for `train`.
        data: As for `train`; only its test split is read.
        trainer: As for `train`.
        default_root_dir: As for `train`.
        ckpt_path: The checkpoint: a file, 'last' or 'best', which is the default.
        seed: As for `train`.

    Returns:
        The folder of the submission files.

    Raises:
        InputError: If something cannot be used.
    """
    from fastmri_clgnet.training.session import Session

    session = Session(module, data, trainer or {}, default_root_dir, seed)
    return session.test(None if ckpt_path is None else str(ckpt_path))
