"""SIGKILL at random moments: no file is half written, and the next start ends as usual."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import sys
import time
from pathlib import Path

import h5py
import pytest
import torch

from fastmri_clgnet.data import demo
from fastmri_clgnet.train_clgnet import main
from tests.processes import SERVER
from tests.reliability.runs import COMMAND, assert_same_state, make_weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads times under /proc")


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Let the server import everything before times are measured."""
    process = SERVER.Process(target=int)
    process.start()
    process.join()


def run(argv: list[str], until: float = math.inf) -> tuple[float, int | None]:
    """Run the command in a process; kill it when it has computed for some seconds.

    Returns:
        The seconds that it computed, which do not depend on other work of the machine, and its
        exit code.
    """
    # forked after all imports, so that kills do not only hit the imports
    process = SERVER.Process(target=_main, args=(argv,))
    process.start()
    used = 0.0
    while process.is_alive() and used < until:
        time.sleep(0.005)
        with contextlib.suppress(OSError, IndexError):  # it has just ended
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            used = max(used, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    process.kill()  # no effect if it has ended
    process.join()
    return used, process.exitcode


def _main(argv: list[str]) -> None:
    torch.set_num_threads(1)
    demo.VOLUMES = dict.fromkeys(demo.VOLUMES, (2, 2))
    raise SystemExit(main(argv))


def assert_all_whole(folder: Path) -> None:
    """All files with a final name can be read in full."""
    for path in folder.rglob("[!.]*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue  # being written, or half written at the kill
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                for name in file:
                    assert file[name][()] is not None
        elif path.suffix == ".ckpt":
            assert torch.load(path, weights_only=True)["state_dict"]
        elif path.suffix == ".json":
            assert json.loads(path.read_text())
        elif path.suffix == ".yaml":
            assert path.read_text().endswith("\n")


@pytest.mark.parametrize(
    ("n_kills", "with_demo"),
    [(1, False), pytest.param(20, True, marks=pytest.mark.slow)],
    ids=["1 kill", "20 kills, the demo data's making included"],
)
def test_killed_runs_end_as_whole_ones(
    n_kills: int, with_demo: bool, small_dataset: Path, tmp_path: Path
) -> None:
    """From the start of the process to the end of the test."""
    command = [*COMMAND, *make_weights(tmp_path / "vgg.pt")]

    def flags(root: Path) -> list[str]:
        data = ["--demo_dir", str(root / "demo")]
        if not with_demo:
            data = ["--data_path", str(small_dataset)]
        return [*command, *data, "--default_root_dir", str(root / "run")]

    whole = tmp_path / "whole"
    seconds, status = run(flags(whole))
    assert status == 0
    chooser = random.Random(n_kills + 4)  # a single kill comes after the first checkpoint
    killed = 0
    for number in range(n_kills):
        root = tmp_path / str(number)
        # one in each of equal parts of the run's time
        _, status = run(flags(root), seconds * (number + chooser.random()) / n_kills)
        killed += status == -9
        assert_all_whole(root)
        assert run(flags(root))[1] == 0
        assert_same_state(root / "run", whole / "run")
    assert killed > n_kills / 2  # the others came too late


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends(small_dataset: Path, tmp_path: Path) -> None:
    command = [*COMMAND, *make_weights(tmp_path / "vgg.pt"), "--data_path", str(small_dataset)]
    command += ["--batch_size", "1", "--checkpoint_minutes", "0", "--default_root_dir"]
    seconds, status = run([*command, str(tmp_path / "whole")])
    assert status == 0
    chooser, killed = random.Random(0), 0
    status = -9
    while status == -9 and killed < 40:
        _, status = run([*command, str(tmp_path / "run")], seconds * chooser.uniform(0.1, 0.5))
        killed += status == -9
        assert_all_whole(tmp_path)
    assert killed >= 2
    assert run([*command, str(tmp_path / "run")])[1] == 0
    assert_same_state(tmp_path / "run", tmp_path / "whole")
