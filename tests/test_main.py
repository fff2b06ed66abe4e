"""The list of commands, `python -m fastmri_clgnet`."""

from __future__ import annotations

import pytest

from fastmri_clgnet.__main__ import main


def test_commands_run_by_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["nonsense"]) == 2
    assert "nonsense: no such command; expected one of train_clgnet" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "speed", "--help"])
    assert ended.value.code == 0
    assert "--rounds" in capsys.readouterr().out
