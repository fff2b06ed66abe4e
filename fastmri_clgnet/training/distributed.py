"""What a run of several processes needs beside Lightning: to speak once."""

from __future__ import annotations

from typing import TypeVar

import torch
from pytorch_lightning.utilities import rank_zero_only

Item = TypeVar("Item")


@rank_zero_only
def say(text: str) -> None:
    """Print, in the first process only; the others run the same command."""
    print(text, flush=True)


def gather(items: list[Item]) -> list[Item]:
    """What all processes of a distributed run have, in their order; all of them must call it."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(items)
    lists: list[list[Item]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(lists, items)
    return [item for each in lists for item in each]
