"""`train`: a whole run, from the check of the files to the picture of its result; and `test`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmri.pl_modules import MriModule
from pytorch_lightning.callbacks import Callback

from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import write_json
from fastmri_clgnet.inference import loading
from fastmri_clgnet.losses import ReconstructionLoss
from fastmri_clgnet.models.compiled import compile_network
from fastmri_clgnet.run_folder import BEST, CONFIG, METRICS, TENSORBOARD
from fastmri_clgnet.training.checkpoints import (
    NameModel,
    checked,
    checkpoint_callbacks,
    find_checkpoint,
    kept_checkpoint,
    last_checkpoint,
)
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.folder import (
    config_of,
    default_folder,
    refuse_to_replace,
    sole_run,
    task_of,
    write_config,
)
from fastmri_clgnet.training.lines import Lines
from fastmri_clgnet.training.on_nan import NanAction, OnNan
from fastmri_clgnet.training.recipe import Schedule, recipe_callbacks
from fastmri_clgnet.training.results import (
    beside_zero_filling,
    compare,
    save_validation_picture,
    summarise,
    write_submissions,
)
from fastmri_clgnet.training.samples import check_files, make_samples, partition_of
from fastmri_clgnet.training.stopping import SaveAndStop, ValidateAtTheEnd, fit
from fastmri_clgnet.training.trainer import make_trainer, quiet, set_seed


@dataclass(frozen=True)
class Run:
    """What `train` gives.

    Args:
        root: The run's folder.
        best: The checkpoint with the lowest validation_loss, or the last one where the training
            ended before its first validation; None where nothing was trained.
        metrics: "nmse", "psnr" (dB) and "ssim" of the validation volumes, for "zero-filled" and the
            model, as fastMRI aggregates them; of volumes without references "validation_loss" of
            the model; empty where the training was stopped.
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
    schedule: Schedule = "step",
    ema: float | None = None,
    compile: bool = False,
    on_nan: NanAction = "stop",
    checkpoint_minutes: float = 30.0,
    logger: bool = True,
    callbacks: Sequence[Callback] = (),
    keep_best: bool = True,
    flags: Mapping[str, Any] | None = None,
    objective: Callable[[], ReconstructionLoss] | None = None,
) -> Run:
    """Train a module, validate and test it with its best checkpoint, and save submission files.

    The files are checked before anything is written. The same call continues from its last
    checkpoint, to the same weights as if it had never been stopped, wherever it was stopped. The
    module has the weights of the best checkpoint then, of the lowest validation_loss.

    Args:
        module: What to train: one of this package's Lightning modules, or any of fastMRI's with
            `Lightning2Mixin` in front. It is given k-space and mask if it has an attribute
            `on_kspace` that is true, else zero-filled magnitude images; with an attribute
            `needs_reference` that is true, the fully sampled k-space, too; with an attribute
            `partition`, as those made with loss="ssdu" have, all measured k-space and the columns
            to hold out, of volumes that may be undersampled and without references.
        data: The data and its masks; by default the simulated demo data set.
        trainer: Arguments of Lightning's Trainer by name, such as {"max_epochs": 20}; 50 epochs
            where neither epochs, steps nor time are given.
        default_root_dir: Folder of checkpoints, logs and reconstructions. Default:
            MODEL/CHALLENGE[_demo] here.
        ckpt_path: Checkpoint to continue from or to test: a file, 'last', 'best' or 'none' (start
            over). Default: the last one when training, the best one when testing, under
            default_root_dir.
        init_weights: Weights to begin with, for fine-tuning: a checkpoint, or a file of `export`.
            Unlike ckpt_path it brings no steps, no optimizer and no loss; a run that continues
            from a checkpoint of its own ignores it.
        seed: Seed of weights, data order, masks and negatives.
        schedule: Of the learning rate. step: the module's own, by lr_step_size and lr_gamma.
            onecycle: torch's OneCycleLR over all steps of the training: from lr / 25 up to lr in
            the first 30 % of them, then down to almost 0. It needs max_steps beside max_time.
        ema: Decay of the weights' exponential moving average over steps, such as 0.999. The
            averaged weights are what is validated, saved and used; null trains without.
        compile: Whether torch compiles the blocks that the network repeats. The first steps take a
            minute or more longer; checkpoints are the same.
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
        objective: Makes the module's attribute `loss`, such as `paper_objective`. It is called
            once the files have been checked, since VGG19's weights may have to be downloaded. By
            default the module keeps its loss.

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
        >>> settings["enable_model_summary"] = False
        >>> run = train(module, data, trainer=settings, default_root_dir="run", logger=False)
        epoch 0, step 1: train_loss ..., validation_loss ..., PSNR ... dB, SSIM ...
        >>> run.best.name, list(run.metrics)
        ('best.ckpt', ['zero-filled', 'CLGNet'])

    Raises:
        InputError: If something cannot be used, or NaN or Inf comes up.
    """
    settings = dict(trainer or {})
    if keep_best and settings.get("limit_val_batches") == 0:
        raise InputError("limit_val_batches 0: the best checkpoint is chosen by the validation")
    recipe = recipe_callbacks(schedule, ema, settings)
    root = Path(default_root_dir or default_folder(module, data))
    refuse_to_replace(root, settings)
    with quiet():
        set_seed(seed)
        evaluator = make_trainer(root, settings)
        files = check_files(module, data, evaluator.world_size, refuse_nan=on_nan == "stop")
        if objective is not None:
            module.loss = objective()
        if init_weights is not None and last_checkpoint(ckpt_path, root) is None:
            say(f"Starting with the weights of {loading.start_from(module, init_weights)}")
        if compile:
            compile_network(module, evaluator.strategy.root_device)
        samples = make_samples(module, data, seed, evaluator)
        with sole_run(root, evaluator.is_global_zero):
            best = None
            given = {
                **settings, "seed": seed, "init_weights": init_weights, "schedule": schedule,
                "ema": ema, "compile": compile, "on_nan": on_nan,
                "checkpoint_minutes": checkpoint_minutes, "logger": logger,
            }  # fmt: skip
            config = config_of(module, data, root, given) if flags is None else flags
            if _is_trained(module):
                saver = SaveAndStop(root, seed, checkpoint_minutes)
                keepers = checkpoint_callbacks(root, keep_best)
                named = NameModel(files.trained_on, files.volumes, task_of(module, data))
                used = [*callbacks, *recipe, *keepers, OnNan(on_nan), ValidateAtTheEnd()]
                used += [saver, Lines()]
                fitter = make_trainer(root, settings, [*used, named], logger)
                status = fit(fitter, saver, module, samples, config, ckpt_path)
                if status or not keep_best:
                    return Run(root, status=status)
                best = kept_checkpoint(root, keepers[0].best_model_path)
            elif evaluator.is_global_zero:
                write_config(root, config)
            methods = beside_zero_filling(module, samples, data, seed, evaluator)
            metrics = compare(evaluator, methods, module, best)
            if files.has_test:
                write_submissions(evaluator, module, samples, data, best, verbose=False)
            if not evaluator.is_global_zero:
                return Run(root, best, metrics)
            write_json(root / METRICS, metrics)
            save_validation_picture(root / "comparison.png", methods)
    mask = data.split_mask("val", partition_of(module) is not None)
    places = {
        "checkpoint": best or "(none)",
        "reconstructions": root / data.submission_folder if files.has_test else "(no test split)",
        "picture": root / "comparison.png",
        "TensorBoard logs": root / TENSORBOARD if logger and _is_trained(module) else "(off)",
        "configuration": root / CONFIG,
    }
    return Run(root, best, metrics, summary=summarise(metrics, mask, places))


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
    root = Path(default_root_dir or default_folder(module, data))
    with quiet():
        set_seed(seed)
        evaluator = make_trainer(root, trainer or {})
        check_files(module, data, evaluator.world_size, testing=True)
        samples = make_samples(module, data, seed, evaluator)
        with sole_run(root, evaluator.is_global_zero):
            checkpoint = None
            if _is_trained(module):
                checkpoint = find_checkpoint(ckpt_path or BEST, root)
                module.load_state_dict(checked(checkpoint, module)["state_dict"])
            write_submissions(evaluator, module, samples, data, checkpoint)
    return root / data.submission_folder


def _is_trained(module: MriModule) -> bool:
    """Whether a module has anything to train; zero-filling and classical methods have not."""
    return any(parameter.requires_grad for parameter in module.parameters())
