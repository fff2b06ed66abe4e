"""What a run of several processes needs beside Lightning: to speak once."""

from __future__ import annotations

from pytorch_lightning.utilities import rank_zero_only


@rank_zero_only
def say(text: str) -> None:
    """Print, in the first process alone; the others run the same command."""
    print(text, flush=True)
