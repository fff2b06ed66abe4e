"""Which data a training, validation or test reads, and how it is undersampled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastmri_clgnet.data.demo import default_demo_dir, make_demo_dataset
from fastmri_clgnet.data.folders import holds_masks
from fastmri_clgnet.data.mask import Mask
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.parallel import DEFAULT_WORKERS

if TYPE_CHECKING:
    from fastmri.data.subsample import MaskFunc

    from fastmri_clgnet.data.data_module import CheckedDataModule
    from fastmri_clgnet.data.ssdu import Partition

MIN_TRAIN_SIZE = 16  # what CLGNet takes


@dataclass(frozen=True)
class Data:
    """A data set in fastMRI's format; `Data()` is the simulated demo data set.

    Args:
        data_path: fastMRI's root folder, with singlecoil_train, singlecoil_val and so on. None is
            the demo data set.
        challenge: Which kind of data.
        mask: Masks of the training, drawn for each slice.
        val_mask: Masks of validation and of the test split "val", drawn by file name. None takes
            the same kind as in training.
        batch_size: Slices in a batch.
        num_workers: Processes that load data; 0 loads in this one. By default 4 (fastMRI's), or the
            number of usable cores, if that is smaller.
        augment: true: training slices are mirrored, transposed, turned by up to 10 degrees, and
            changed in contrast, phase and noise, anew in each epoch. strong: more of that, and
            scaled by 0.83 to 1.2; of networks on images also the coils are simulated anew, 1 to 8,
            whatever the files have.
        train_size: Train on the central columns and rows of k-space only, so many of each, that is
            on images of lower resolution and the same field of view. None is all.
        demo_dir: Folder of the demo data set, made where it is missing. None is a cache folder of
            the user.
        test_path: Folder of test files; overrides data_path and test_split.
        test_split: Which split to test on; val is undersampled by val_mask, seeded by file name.
        combine_train_val: Whether to train on the validation split, too, as for a leaderboard.
        sample_rate: Fraction of the slices of the training split to use. None is all.
        val_sample_rate: The same for the validation split.
        test_sample_rate: The same for the test split.
        volume_sample_rate: Fraction of the volumes of the training split to use, in place of
            sample_rate. None is all.
        val_volume_sample_rate: The same for the validation split.
        test_volume_sample_rate: The same for the test split.
        use_dataset_cache_file: Whether fastMRI keeps what it knows of the files in
            dataset_cache.pkl in the working folder. That file is unpickled, so it must be trusted,
            and it goes stale when files change.

    Example:
        >>> data = Data("DATA", "multicoil", mask=Mask("equispaced", (8,), (0.04,)), batch_size=4)
        >>> data.folder("train").name
        'multicoil_train'
    """

    data_path: Path | str | None = None
    challenge: Challenge = "singlecoil"
    mask: Mask = Mask()
    val_mask: Mask | None = None
    batch_size: int = 10
    num_workers: int = DEFAULT_WORKERS
    augment: bool | Literal["strong"] = False
    train_size: int | None = None
    demo_dir: Path | str | None = None
    test_path: Path | str | None = None
    test_split: Literal["val", "test", "challenge"] = "test"
    combine_train_val: bool = False
    sample_rate: float | None = None
    val_sample_rate: float | None = None
    test_sample_rate: float | None = None
    volume_sample_rate: float | None = None
    val_volume_sample_rate: float | None = None
    test_volume_sample_rate: float | None = None
    use_dataset_cache_file: bool = False

    def __post_init__(self) -> None:
        """Refuse values that contradict each other, before anything is read."""
        if self.challenge not in ("singlecoil", "multicoil"):
            raise InputError(f"challenge {self.challenge!r}: expected singlecoil or multicoil")
        if self.data_path is not None and self.demo_dir is not None:
            raise InputError("data_path and demo_dir contradict each other; give one of them")
        if self.batch_size < 1 or self.num_workers < 0:
            raise InputError(
                f"batch_size {self.batch_size} and num_workers {self.num_workers}: expected 1 or "
                "more, and 0 or more"
            )
        if self.augment not in (False, True, "strong"):
            raise InputError(f"augment {self.augment!r}: expected false, true or strong")
        size = self.train_size  # an odd one would move the centre of even k-space
        if size is not None and (size < MIN_TRAIN_SIZE or size % 2 == 1):
            raise InputError(
                f"train_size {size}: expected an even number, {MIN_TRAIN_SIZE} or more"
            )

    @property
    def is_demo(self) -> bool:
        """Whether it is the demo data set."""
        return self.data_path is None

    @property
    def fixed_mask(self) -> Mask:
        """The masks of validation, and of the test split val."""
        return self.mask if self.val_mask is None else self.val_mask

    @property
    def submission_folder(self) -> str:
        """Where submission files go under a run's folder; those of test_path as of "test"."""
        of_test = self.test_split == "test" or self.test_path is not None
        return "reconstructions" + ("" if of_test else f"_{self.test_split}")

    @property
    def demo_folder(self) -> Path:
        """Where the demo data set is, or would be made."""
        return default_demo_dir() if self.demo_dir is None else Path(self.demo_dir)

    def simulates_coils(self, on_kspace: bool) -> bool:
        """Whether the coils of training slices are simulated anew; they have a coil axis then."""
        return self.augment == "strong" and not on_kspace

    def root(self) -> Path:
        """Return the folder that holds {challenge}_train and so on; make the demo data set."""
        if self.data_path is not None:
            return Path(self.data_path)
        return make_demo_dataset(self.challenge, self.demo_folder)

    def folder(self, split: str) -> Path:
        """The folder of "train", "val", or "test", the split that is tested on; may be missing."""
        if split == "test" and self.test_path is not None:
            return Path(self.test_path)
        return self.root() / f"{self.challenge}_{self.test_split if split == 'test' else split}"

    def split_mask(self, split: str, self_supervised: bool = False) -> Mask | None:
        """What undersamples a split's volumes; None where they are undersampled already.

        Args:
            split: "train", "val" or "test".
            self_supervised: Whether training and validation take undersampled volumes, too: the
                folder's first file tells. If false, they are taken to be fully sampled.
        """
        if split == "test" and self.test_split != "val":
            return None
        if self_supervised and holds_masks(self.folder(split), self.challenge):
            return None
        return self.mask if split == "train" else self.fixed_mask

    def module(
        self,
        on_kspace: bool,
        seed: int = 42,
        distributed: bool = False,
        needs_reference: bool = False,
        other_masks: int = 0,
        partition: Partition | None = None,
    ) -> CheckedDataModule:
        """Make fastMRI's data module: random masks for training, masks by file name otherwise.

        Args:
            on_kspace: Whether the model takes k-space and mask (`VarNetDataTransform`), rather than
                zero-filled magnitude images (`UnetDataTransform`).
            seed: Of order and masks of the training slices, 0 or more.
            distributed: Whether several processes share the data.
            needs_reference: Whether training and validation samples on k-space come with the fully
                sampled k-space and its complex image (`ReferenceDataTransform`).
            other_masks: Under how many other masks training samples on images also come
                (`OtherMasksDataTransform`).
            partition: Splits the measured columns of training and validation samples on k-space
                (`PartitionedDataTransform`), which then may be undersampled volumes.

        Returns:
            The data module.

        Raises:
            InputError: If the masks cannot be made, or values contradict each other.
        """
        from fastmri_clgnet.data.augmentation import training_changes
        from fastmri_clgnet.data.data_module import CheckedDataModule
        from fastmri_clgnet.data.transforms import make_transform

        changes = training_changes(self.train_size, self.augment, on_kspace)

        def mask_func(split: str) -> MaskFunc | None:
            mask = self.split_mask(split, partition is not None)
            return None if mask is None else mask.make(seed)

        try:
            return CheckedDataModule(
                data_path=self.root(),
                challenge=self.challenge,
                # in training `OnNan` meets NaN, in all processes and with the number of the step
                train_transform=make_transform(
                    "multicoil" if self.simulates_coils(on_kspace) else self.challenge,
                    mask_func("train"),
                    on_kspace,
                    use_seed=False,
                    refuse_nan=False,
                    needs_reference=needs_reference,
                    other_masks=other_masks,
                    changes=changes,
                    partition=partition,
                ),
                val_transform=make_transform(
                    self.challenge,
                    mask_func("val"),
                    on_kspace,
                    needs_reference=needs_reference,
                    folder=self.folder("val"),
                    partition=partition,
                ),
                test_transform=make_transform(
                    self.challenge, mask_func("test"), on_kspace, folder=self.folder("test")
                ),
                combine_train_val=self.combine_train_val,
                test_split=self.test_split,
                test_path=None if self.test_path is None else Path(self.test_path),
                sample_rate=self.sample_rate,
                val_sample_rate=self.val_sample_rate,
                test_sample_rate=self.test_sample_rate,
                volume_sample_rate=self.volume_sample_rate,
                val_volume_sample_rate=self.val_volume_sample_rate,
                test_volume_sample_rate=self.test_volume_sample_rate,
                use_dataset_cache_file=self.use_dataset_cache_file,
                batch_size=self.batch_size,
                num_workers=self.num_workers,
                distributed_sampler=distributed,
                seed=seed,
            )
        except InputError:
            raise
        except ValueError as error:
            raise InputError(str(error)) from error
