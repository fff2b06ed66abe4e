"""fastMRI's modules and ours under Lightning 2, through the bridge."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import fastmri.pl_modules
import h5py
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fastmri import evaluate
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import (
    UnetDataTransform,
    UnetSample,
    VarNetDataTransform,
    center_crop_to_smallest,
)
from fastmri.pl_modules import FastMriDataModule, MriModule
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from fastmri_clgnet.data import Data, write_fastmri_file
from fastmri_clgnet.errors import InputError
from fastmri_clgnet.pl_modules import CLGNetModule, Lightning2Mixin, ZeroFilledModule
from tests.helpers import small_volume


class UnetModule(Lightning2Mixin, fastmri.pl_modules.UnetModule):
    """The host's U-Net."""


class VarNetModule(Lightning2Mixin, fastmri.pl_modules.VarNetModule):
    """The host's E2E-VarNet."""


def data_module(root: Path, challenge: str, varnet: bool = False) -> FastMriDataModule:
    mask = create_mask_for_mask_type("random", [0.1], [4])
    transforms = [
        VarNetDataTransform(each) if varnet else UnetDataTransform(challenge, each)
        for each in (mask, mask, None)
    ]
    return FastMriDataModule(
        root, challenge, *transforms, use_dataset_cache_file=False, num_workers=0
    )


def trainer(root: Path, **options: object) -> pl.Trainer:
    defaults: dict[str, object] = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(default_root_dir=root, **{**defaults, **options})  # type: ignore[arg-type]


def modules() -> dict[str, tuple[MriModule, str, bool]]:
    return {
        "clgnet-singlecoil": (
            CLGNetModule(chans=4, num_groups=1, num_blocks=1),
            "singlecoil",
            False,
        ),
        "clgnet-multicoil": (CLGNetModule(chans=4, num_groups=1, num_blocks=1), "multicoil", False),
        "unet": (UnetModule(chans=4, num_pool_layers=2), "singlecoil", False),
        "varnet": (
            VarNetModule(num_cascades=1, chans=2, pools=2, sens_chans=2, sens_pools=2),
            "multicoil",
            True,
        ),
    }


@pytest.mark.parametrize("name", modules())
def test_trains_validates_and_tests(name: str, small_dataset: Path, tmp_path: Path) -> None:
    module, challenge, varnet = modules()[name]
    data = data_module(small_dataset, challenge, varnet)
    before = [parameter.clone() for parameter in module.parameters()]
    run = trainer(tmp_path)
    run.fit(module, data)
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    metrics = run.callback_metrics
    assert {"validation_loss", "val_metrics/nmse", "val_metrics/ssim"} < metrics.keys()
    run.test(module, data, verbose=False)
    with h5py.File(tmp_path / "reconstructions" / "e.h5") as file:
        reconstruction = file["reconstruction"][()]
    assert reconstruction.shape == (3, 32, 32)
    assert np.isfinite(reconstruction).all()
    assert [path.name for path in (tmp_path / "reconstructions").iterdir()] == ["e.h5"]
    assert not list(tmp_path.glob(".*"))


def test_metrics_equal_the_hosts_functions(small_dataset: Path, tmp_path: Path) -> None:
    """Logged values equal fastmri.evaluate's NMSE, PSNR and SSIM on whole volumes."""
    data = data_module(small_dataset, "singlecoil", True)
    (logged,) = trainer(tmp_path).validate(ZeroFilledModule(), data, verbose=False)
    volumes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for batch in data.val_dataloader():
        image = fastmri.complex_abs(fastmri.ifft2c(batch.masked_kspace))
        image, target = center_crop_to_smallest(image, batch.target)
        volumes.setdefault(batch.fname[0], []).append((image[0].numpy(), target[0].numpy()))
    for name, function in (
        ("nmse", evaluate.nmse),
        ("psnr", evaluate.psnr),
        ("ssim", evaluate.ssim),
    ):
        values = [
            np.mean(function(np.stack([t for _, t in slices]), np.stack([i for i, _ in slices])))
            for slices in volumes.values()
        ]
        assert logged[f"val_metrics/{name}"] == pytest.approx(np.mean(values), rel=1e-3)


def test_slices_without_signal(tmp_path: Path) -> None:
    """Real data has them; the host divides their images by a maximum of zero."""
    for split, name in (("train", "a"), ("val", "b")):
        (tmp_path / f"singlecoil_{split}").mkdir()
        kspace, target = small_volume("singlecoil", 0)
        kspace[0] = target[0] = 0
        write_fastmri_file(tmp_path / f"singlecoil_{split}" / f"{name}.h5", kspace, target)
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1)
    logger = TensorBoardLogger(tmp_path, name=None, version="logs")
    run = trainer(tmp_path, logger=logger)
    run.fit(module, data_module(tmp_path, "singlecoil"))
    assert all(torch.isfinite(value) for value in run.callback_metrics.values())
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


def test_images_go_to_tensorboard(small_dataset: Path, tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name=None, version="logs")
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, num_log_images=2)
    trainer(tmp_path, logger=logger).fit(module, data_module(small_dataset, "singlecoil"))
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    # of six batches the first and the last
    assert set(events.Tags()["images"]) == {
        f"val_images_idx_{index}/{kind}"
        for index in (0, 5)
        for kind in ("target", "reconstruction", "error")
    }
    assert "val_metrics/psnr" in events.Tags()["scalars"]
    assert not (tmp_path / "images").exists()


def test_images_go_to_files_without_tensorboard(small_dataset: Path, tmp_path: Path) -> None:
    module = CLGNetModule(chans=4, num_groups=1, num_blocks=1, num_log_images=1)
    trainer(tmp_path).fit(module, data_module(small_dataset, "singlecoil"))
    names = sorted(path.name for path in (tmp_path / "images" / "val_images_idx_0").iterdir())
    assert names == ["error.png", "reconstruction.png", "target.png"]


def test_interrupted_writing_keeps_the_previous_reconstructions(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_module(small_dataset, "singlecoil", True)
    trainer(tmp_path).test(ZeroFilledModule(), data, verbose=False)
    path = tmp_path / "reconstructions" / "e.h5"
    before = path.read_bytes()

    def fail(outputs: dict[str, object], folder: Path) -> None:
        for name in outputs:
            (folder / name).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(fastmri, "save_reconstructions", fail)
    with pytest.raises(InputError, match="No space left"):
        trainer(tmp_path).test(ZeroFilledModule(), data, verbose=False)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.rglob("*")] == ["reconstructions", "e.h5"]


def test_wrong_order_of_bases_is_refused() -> None:
    with pytest.raises(TypeError, match="before the fastMRI module"):
        type("Wrong", (fastmri.pl_modules.UnetModule, Lightning2Mixin), {})
    with pytest.raises(TypeError, match="do not define test_epoch_end"):
        type("Wrong", (Lightning2Mixin, MriModule), {"test_epoch_end": lambda self, logs: None})


def small_module(**arguments: object) -> CLGNetModule:
    return CLGNetModule(chans=4, num_groups=1, num_blocks=1, **arguments)  # type: ignore[arg-type]


def test_volumes_that_lightning_would_divide_are_refused() -> None:
    """Its own samplers share out slices; fastMRI's keep volumes on one process."""
    module = small_module()
    two, one = SimpleNamespace(world_size=2), SimpleNamespace(world_size=1)
    module._trainer = two  # type: ignore[assignment]
    slices = TensorDataset(torch.arange(4))
    divided: DataLoader = DataLoader(slices, sampler=DistributedSampler(slices, 2, 0))
    for loaders in (divided, [divided]):
        with pytest.raises(InputError, match="use_distributed_sampler=False"):
            module._expect_whole_volumes(loaders)
    module._expect_whole_volumes(DataLoader(slices))
    module._trainer = one  # type: ignore[assignment]
    module._expect_whole_volumes(divided)


def test_lightnings_own_loading_knows_files_of_earlier_versions(tmp_path: Path) -> None:
    """Those leave out the spectrum, whose weights fit, and which was linear then."""
    path = tmp_path / "a.ckpt"
    module, made = small_module(spectrum="linear"), trainer(tmp_path)
    made.strategy.connect(module)
    made.save_checkpoint(path)
    loaded = CLGNetModule.load_from_checkpoint(path)
    assert loaded.hparams["spectrum"] == "linear"
    contents = torch.load(path, weights_only=True)
    del contents["hyper_parameters"]["spectrum"]
    torch.save(contents, path)
    with pytest.raises(InputError, match="trained with spectrum linear: give CLGNetModule"):
        CLGNetModule.load_from_checkpoint(path)
    old = CLGNetModule.load_from_checkpoint(path, spectrum="linear")
    image = torch.randn(1, 32, 32)
    torch.testing.assert_close(old(image), module(image))
    with pytest.raises(InputError, match="trained with spectrum linear"):
        trainer(tmp_path).validate(small_module(), [torch.zeros(1)], ckpt_path=path)


def test_mps_gets_no_float64(small_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none here: tensors stay where they are."""
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)
    sample = UnetSample(torch.zeros(1, 8, 8), torch.zeros(1), torch.zeros(1), torch.ones(1), ["a"],
                        torch.tensor([0]), torch.tensor([1.0], dtype=torch.float64))  # fmt: skip
    samples = Data(small_dataset).module(on_kspace=False)
    moved = samples.transfer_batch_to_device(sample, torch.device("mps"), 0)
    assert moved.max_value.dtype == torch.float32
    assert (moved.fname, moved.slice_num.dtype) == (["a"], torch.int64)
    assert isinstance(moved, UnetSample)
