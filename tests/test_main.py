"""The list of commands, `python -m fastmri_clgnet`."""

from __future__ import annotations

import pytest
import torch

import fastmri_clgnet
from fastmri_clgnet.__main__ import main


def test_commands_run_by_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["nonsense"]) == 2
    assert "nonsense: no such command; expected one of train_clgnet" in capsys.readouterr().err
    assert main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert f"fastmri_clgnet {fastmri_clgnet.__version__}, fastmri 0." in printed
    assert f"torch {torch.__version__.split('+')[0]}" in printed
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "speed", "--help"])
    assert ended.value.code == 0
    assert "--rounds" in capsys.readouterr().out
