"""One run of `train` or `test` with everything that it shares: folder, data, trainers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from fastmri.pl_modules import MriModule
from filelock import FileLock, Timeout
from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from fastmri_clgnet.data.data_module import CheckedDataModule
from fastmri_clgnet.data.dataset import Data
from fastmri_clgnet.data.folders import check_one_size, inspect_folder
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.data.samplers import check_enough_volumes
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.files import atomic_path, make_folder, write_json
from fastmri_clgnet.inference.loading import start_from
from fastmri_clgnet.inference.submission import data_digest, describe
from fastmri_clgnet.pl_modules.image_module import ZeroFilledModule
from fastmri_clgnet.pl_modules.registry import (
    DEFAULT_MODEL,
    MODELS,
    ZERO_FILLED,
    name_of,
    takes_kspace,
)
from fastmri_clgnet.run_folder import BEST, LAST, TENSORBOARD, checkpoint_dir
from fastmri_clgnet.training.checkpoints import (
    CheckpointFiles,
    NameModel,
    checked,
    checkpoint_callbacks,
    find_checkpoint,
    forget_requeued,
)
from fastmri_clgnet.training.distributed import say
from fastmri_clgnet.training.on_nan import OnNan
from fastmri_clgnet.training.results import Methods, format_metrics, save_validation_picture
from fastmri_clgnet.training.stopping import SaveAndStop, Stopped
from fastmri_clgnet.training.train import MAX_EPOCHS, NanAction, Run

# loader processes of a run that was killed hold its lock until they notice, some seconds later
_PATIENCE = 10.0
_STOPPED = (
    "\nStopped outside of the training. The same command does this again (with --ckpt_path none it "
    "would start over)."
)
_OWN_TRAINER = {
    "callbacks", "default_root_dir", "enable_checkpointing", "logger", "plugins",
    "use_distributed_sampler",
}  # fmt: skip
_GPUS = {
    "gpu": (CUDAAccelerator, MPSAccelerator),
    "cuda": (CUDAAccelerator,),
    "mps": (MPSAccelerator,),
}
# Lightning's remarks that a user can do nothing about
_QUIET = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*is smaller than the logging interval.*",
    ".*sync_dist=True.*",
    ".*is not supported by the model summary.*",
    # the batches follow from where the training is
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    # a training that goes on at the end of an epoch, and ends before the next validation
    ".*could not find the monitored key.*",
)


class Session:
    """A module, its data and a folder; the arguments are those of `train`."""

    def __init__(
        self,
        module: MriModule,
        data: Data,
        trainer: Mapping[str, Any],
        default_root_dir: Path | str | None,
        seed: int,
    ) -> None:
        """Look at what needs no file."""
        if not 0 <= seed < 2**32:
            raise InputError(f"seed {seed}: expected 0 to {2**32 - 1}")
        self.module, self.data, self.seed = module, data, seed
        self.name = name_of(module)
        choice = MODELS.get(self.name or "")
        self.label = type(module).__name__ if choice is None else choice.label
        if choice is not None and not choice.multicoil and data.challenge == "multicoil":
            others = ", ".join(name for name, each in MODELS.items() if each.multicoil)
            raise InputError(
                f"--model {self.name} takes single-coil data only; {others} take multicoil data"
            )
        own = _OWN_TRAINER & trainer.keys()
        if own:
            raise InputError(f"trainer: {', '.join(sorted(own))} cannot be set here")
        self.settings = dict(trainer)
        if {"max_epochs", "max_steps", "max_time", "fast_dev_run"}.isdisjoint(trainer):
            self.settings["max_epochs"] = MAX_EPOCHS
        folder = f"{data.challenge}{'_demo' if data.is_demo else ''}"
        default = Path(self.name or type(module).__name__) / folder
        self.root = default if default_root_dir is None else Path(default_root_dir)
        self.trained_on: dict[str, Any] = {}
        self._prepared: tuple[CheckedDataModule, bool] | None = None
        data.mask.make()
        data.fixed_mask.make()
        with _quiet():
            self.evaluator = self.make_trainer()

    def make_trainer(
        self,
        callbacks: Sequence[Callback] | None = None,
        logger: TensorBoardLogger | None = None,
        files: CheckpointFiles | None = None,
    ) -> pl.Trainer:
        """Make Lightning's trainer; without callbacks it only evaluates."""
        settings = dict(self.settings)
        if str(settings.get("precision")) in ("16-true", "bf16-true"):
            raise InputError(
                f"--precision {settings['precision']}: MR images of 1e-5 and Fourier transforms "
                "need float32; use 16-mixed or bf16-mixed"
            )
        accelerator = str(settings.get("accelerator"))
        gpus = _GPUS.get(accelerator)
        if gpus is not None and not any(gpu.is_available() for gpu in gpus):
            raise InputError(
                f"--accelerator {accelerator}: no GPU was found; omit --accelerator (auto takes "
                "a GPU where there is one), or give cpu"
            )
        bars = [] if settings.get("enable_progress_bar") is False else [_ProgressBar()]
        if callbacks is None:
            settings["enable_model_summary"] = False
        try:
            return pl.Trainer(
                default_root_dir=self.root,
                callbacks=[*(callbacks or []), *bars],
                logger=logger if logger is not None else False,
                enable_checkpointing=callbacks is not None,
                # fastMRI's data module makes the samplers that keep volumes on one device
                use_distributed_sampler=False,
                plugins=[files or CheckpointFiles()],
                **settings,
            )
        except (ValueError, TypeError, MisconfigurationException) as error:
            raise InputError(f"{error} (a flag of the trainer)") from error

    def check_files(self, refuse_nan: bool, testing: bool = False) -> bool:
        """Check the files to be read and their masks; says whether there is a test split."""
        data, n_processes = self.data, self.evaluator.world_size

        def check(split: str, mask: Mask | None, n_volumes: int, refuse_nan: bool = True) -> None:
            folder = data.folder(split)
            volumes = inspect_folder(
                folder, data.challenge, masked=mask is None, refuse_nan=refuse_nan
            )
            check_one_size(volumes, data.batch_size, takes_kspace(self.module))
            check_enough_volumes(len(volumes), n_volumes, str(folder))
            if mask is not None:
                size = data.train_size if split == "train" else None
                widths = {volume.kspace_shape[-1] for volume in volumes}
                mask.check(widths if size is None else {min(width, size) for width in widths})
            if split == "train":
                self.trained_on = {
                    "challenge": data.challenge,
                    "accelerations": list(data.mask.accelerations),
                    "acquisitions": sorted({volume.acquisition for volume in volumes}),
                    "simulated": data.is_demo or all(volume.simulated for volume in volumes),
                }

        if not testing:
            # slices of the training are shared out one by one, other splits' volumes stay whole
            check("train", data.mask, 1, refuse_nan)
            check("val", data.fixed_mask, n_processes)
            if data.test_path is None and not data.folder("test").is_dir():
                return False
        check("test", data.fixed_mask if data.test_split == "val" else None, n_processes)
        return True

    def prepare(self, refuse_nan: bool) -> tuple[CheckedDataModule, bool]:
        """Check the files of a training, once; gives its data and whether there is a test split."""
        if self._prepared is None:
            pl.seed_everything(self.seed, workers=True, verbose=False)
            self._use_demo()
            has_test = self.check_files(refuse_nan)
            self._prepared = self._data_module(takes_kspace(self.module)), has_test
        return self._prepared

    def _data_module(self, on_kspace: bool) -> CheckedDataModule:
        distributed = self.evaluator.world_size > 1
        needs_reference = on_kspace and bool(getattr(self.module, "needs_reference", False))
        return self.data.module(on_kspace, self.seed, distributed, needs_reference)

    def validate(
        self,
        module: MriModule,
        data: CheckedDataModule,
        names: Iterable[str],
        ckpt_path: Path | None = None,
    ) -> dict[str, float]:
        """Validate a module, without images; gives those of the named values that it logs."""
        before, module.num_log_images = module.num_log_images, 0
        with _quiet():
            (logged,) = self.evaluator.validate(module, data, ckpt_path=ckpt_path, verbose=False)
        module.num_log_images = before
        return {name: float(logged[name]) for name in names if name in logged}

    def train(
        self,
        ckpt_path: str | None,
        *,
        init_weights: Path | str | None = None,
        on_nan: NanAction,
        checkpoint_minutes: float,
        logger: bool,
        callbacks: Sequence[Callback],
        keep_best: bool,
        flags: Mapping[str, Any] | None,
    ) -> Run:
        """Do what `train` does."""
        if keep_best and self.settings.get("limit_val_batches") == 0:
            raise InputError("limit_val_batches 0: the best checkpoint is chosen by the validation")
        if init_weights is not None and find_checkpoint(ckpt_path, self.root) is None:
            say(f"Starting with the weights of {start_from(self.module, init_weights)}")
        settings = {
            "init_weights": None if init_weights is None else str(init_weights),
            "on_nan": on_nan,
            "checkpoint_minutes": checkpoint_minutes,
            "logger": logger,
        }
        with _quiet():
            data, has_test = self.prepare(on_nan == "stop")
            with sole_run(self.root, self.evaluator.is_global_zero):
                if any(parameter.requires_grad for parameter in self.module.parameters()):
                    saver = SaveAndStop(
                        checkpoint_dir(self.root) / f"{LAST}.ckpt", self.seed, checkpoint_minutes
                    )
                    config = self._config(settings) if flags is None else flags
                    own = [*checkpoint_callbacks(self.root, keep_best), OnNan(on_nan), saver]
                    own += [] if self.name is None else [NameModel(self.name, self.trained_on)]
                    status = self._fit(data, ckpt_path, [*callbacks, *own], saver, logger, config)
                    if status or not keep_best:
                        return Run(self.root, status=status)
                methods: Methods = {self.label: (self.module, data)}
                if self.name != ZERO_FILLED:
                    on_kspace = takes_kspace(self.module)
                    images = self._data_module(on_kspace=False) if on_kspace else data
                    baseline = (ZeroFilledModule(0), images)
                    methods = {MODELS[ZERO_FILLED].label: baseline, **methods}
                return self._summarise(methods, has_test, logger)

    def test(self, ckpt_path: str | None) -> Path:
        """Do what `test` does."""
        with _quiet():
            pl.seed_everything(self.seed, workers=True, verbose=False)
            self._use_demo()
            self.check_files(refuse_nan=True, testing=True)
            data = self._data_module(takes_kspace(self.module))
            with sole_run(self.root, self.evaluator.is_global_zero):
                path = None
                if self.name != ZERO_FILLED:
                    path = find_checkpoint(ckpt_path, self.root, testing=True)
                    assert path is not None
                    self.module.load_state_dict(checked(path, self.module)["state_dict"])
                self._test(data, path)
        return self.root / self.data.submission_folder

    def _use_demo(self) -> None:
        """Say that it is the demo data set, and make it where it is missing."""
        if self.data.is_demo:
            say("\n*** DEMO: simulated heads, not patients, since there is no data_path. ***")
            say(f"*** The demo data set is in {self.data.demo_folder} ***\n")
            self.data.root()

    def _config(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What config.yaml says of a run, by the names of the command's flags."""
        data = {**vars(self.data), **vars(self.data.mask)}
        if self.data.val_mask is not None:
            data |= {f"val_{key}": value for key, value in vars(self.data.val_mask).items()}
        fixed = MODELS[self.name].fixed if self.name is not None else {}
        network = {k: v for k, v in self.module.hparams.items() if k not in fixed}
        if self.name == DEFAULT_MODEL:
            network["alpha"] = getattr(self.module.loss, "alpha", 0.0)
        model = {} if self.name is None else {"model": self.name}
        values = {**model, "seed": self.seed, **settings, **data, **network, **self.settings}
        values |= {"default_root_dir": self.root}
        return {key: _plain(value) for key, value in values.items() if _plain(value) is not None}

    def _fit(
        self,
        data: CheckedDataModule,
        ckpt_path: str | None,
        callbacks: list[Callback],
        saver: SaveAndStop,
        log: bool,
        config: Mapping[str, Any],
    ) -> int:
        """Let a trainer fit; say how to go on if Ctrl-C or SIGTERM stops it; gives the status."""
        checkpoint = find_checkpoint(ckpt_path, self.root)
        loaded = {} if checkpoint is None else {checkpoint: checked(checkpoint, self.module)}
        logger = None
        if log:
            logger = TensorBoardLogger(
                self.root, name=None, version=TENSORBOARD, default_hp_metric=False
            )
            callbacks = [*callbacks, LearningRateMonitor("epoch")]
        trainer = self.make_trainer(callbacks, logger, CheckpointFiles(loaded))
        if trainer.is_global_zero:
            if ckpt_path == "none":
                forget_requeued(self.root)
            with atomic_path(self.root / "config.yaml") as temporary:
                temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False))
            if checkpoint is not None:
                say(f"Continuing from {checkpoint} (--ckpt_path none starts over)")
        stopped = False
        try:
            with saver.listening():
                trainer.fit(self.module, data, ckpt_path=checkpoint)
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
            forget_requeued(self.root)
        trainer.strategy.barrier()
        return 0

    def _summarise(self, methods: Methods, has_test: bool, log: bool) -> Run:
        """Validate and test with the best checkpoint; lay out what came out and where it is."""
        kept = (checkpoint_dir(self.root) / f"{name}.ckpt" for name in (BEST, LAST))
        best = next((path for path in kept if path.is_file()), None)
        module, data = methods[self.label]
        names = [f"val_metrics/{key}" for key in ("nmse", "psnr", "ssim")]
        metrics = {}
        for label, (each, samples) in methods.items():
            logged = self.validate(each, samples, names, best if each is module else None)
            metrics[label] = {key.partition("/")[2]: value for key, value in logged.items()}
        if has_test:
            self._test(data, best, verbose=False)
        picture = self.root / "comparison.png"
        submissions = self.root / self.data.submission_folder
        places = {
            "checkpoint": best or "(none)",
            "reconstructions": submissions if has_test else "(no test split)",
            "picture": picture,
            "TensorBoard logs": self.root / TENSORBOARD if log else "(off)",
            "configuration": self.root / "config.yaml",
        }
        table = f"Validation volumes, {self.data.fixed_mask}:\n\n{format_metrics(metrics)}\n"
        lines = [f"{name + ':':18}{place}" for name, place in places.items()]
        if not self.evaluator.is_global_zero:
            return Run(self.root, best, metrics)
        write_json(self.root / "metrics.json", metrics)
        save_validation_picture(picture, methods)
        return Run(self.root, best, metrics, summary="\n".join(["", table, *lines]))

    def _test(self, data: CheckedDataModule, path: Path | None, verbose: bool = True) -> None:
        """Write submission files that say how they were made, as those of `reconstruct`."""
        mask = self.data.fixed_mask if self.data.test_split == "val" else None
        precision = str(self.settings.get("precision") or "32-true")
        settings = describe(self.module, path, self.data.challenge, mask, precision)
        self.module.submission = partial(_of_volume, settings, self.data.folder("test"))
        self.module.submission_folder = self.data.submission_folder
        self.evaluator.test(self.module, data, verbose=verbose)


def _of_volume(settings: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """How the reconstruction of a volume is made."""
    return {**settings, "data": data_digest(folder / name)}


def _plain(value: Any) -> Any:
    """The value as YAML has it; None for what it has not."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else None


class _ProgressBar(TQDMProgressBar):
    """Lightning's bar without the version number of the logs, of which a run has one."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what stands behind the bar."""
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return items


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Lightning keep some remarks to itself, and translate its exceptions."""

    def is_no_tip(record: logging.LogRecord) -> bool:
        return "Tip:" not in record.getMessage()

    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    logger.addFilter(is_no_tip)
    try:
        with warnings.catch_warnings():
            for message in _QUIET:
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


@contextlib.contextmanager
def sole_run(root: Path, first: bool) -> Iterator[None]:
    """Let the run's first process hold its folder, and remove what a killed run left half-written.

    Raises an `InputError` if another run holds it.
    """
    make_folder(root)
    if not first:
        yield
        return
    try:
        held = FileLock(root / ".lock").acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise InputError(
            f"{root}: another run is writing there; stop it, wait for its end, or give another "
            "--default_root_dir"
        ) from error
    with held:
        for path in root.rglob(".*.tmp"):
            path.unlink(missing_ok=True)
        yield
