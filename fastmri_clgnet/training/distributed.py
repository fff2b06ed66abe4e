"""What a run of several processes needs beside Lightning: to speak once."""

from __future__ import annotations

import torch
from pytorch_lightning.utilities import rank_zero_only


@rank_zero_only
def say(text: str) -> None:
    """Print, in the first process alone; the others run the same command."""
    print(text, flush=True)


def wait_for_all() -> None:
    """Wait until every process of a distributed run has come here; alone, go on."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
