"""Networks whose repeated blocks torch compiles: each kind once, for all its instances."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from fastmri.models.unet import ConvBlock, TransposeConvBlock
from torch import nn

from fastmri_clgnet.errors import InputError

SIZES = 4  # of images, for which a block is compiled
_HOST = (ConvBlock, TransposeConvBlock)


def compile_network(network: nn.Module, device: torch.device | str = "cpu") -> None:
    """Let torch compile the blocks that a network repeats, in place.

    Blocks are those of the host's U-Net, whose forward pass as a whole branches on values, and what
    a network's attribute `repeated` names, types of modules. All instances of one width share what
    is compiled. It is compiled at the first call, for any batch, and again for calls without
    gradients, for batches of one, and for up to `SIZES` image sizes. At more sizes it runs as it
    is. All else stays: weights and their names, copies (which are not compiled), and results up to
    rounding.

    Sizes are compiled one by one, since code for any size is slower on the CPU than none at all.
    There are no CUDA graphs (mode="reduce-overhead"): torch records one for each size and each
    instance of a compiled block.

    Args:
        network: Any module, changed.
        device: Where it will compute.

    Example:
        >>> from fastmri_clgnet.models import CLGNet
        >>> model = CLGNet(chans=4, num_groups=1, num_blocks=1)
        >>> compile_network(model)
        >>> model(torch.zeros(1, 1, 32, 32)).shape
        torch.Size([1, 1, 32, 32])

    Raises:
        InputError: If it has no such block, or torch cannot compile here.
    """
    blocks = list(_blocks(network))
    if not blocks:
        raise InputError(
            f"compile: {type(network).__name__} has no repeated block that is known to compile; "
            "omit it"
        )
    check_compiler(torch.device(device))
    # of one kind of block, over all networks, sizes and modes of a process; torch's own is 8
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    for block in blocks:
        # as block.compile() does
        compiled = torch.compile(block._call_impl, dynamic=False)
        block._compiled_call_impl = _FewSizes(compiled, block._call_impl)


class _FewSizes:
    """A block's compiled call at the first sizes, any batch, and its plain call at others."""

    def __init__(self, compiled: Callable[..., Any], plain: Callable[..., Any]) -> None:
        self.compiled, self.plain = compiled, plain
        self.sizes: set[tuple[torch.Size, ...]] = set()

    def __call__(self, *inputs: Any) -> Any:
        tensors = [each for each in inputs if isinstance(each, torch.Tensor)]
        size = tuple(each.shape[1:] for each in tensors)
        if size not in self.sizes and len(self.sizes) == SIZES:
            return self.plain(*inputs)
        self.sizes.add(size)
        for each in tensors:
            if each.shape[0] > 1:
                torch._dynamo.maybe_mark_dynamic(each, 0)
        return self.compiled(*inputs)


def check_compiler(device: torch.device) -> None:
    """Raise an `InputError` if torch cannot compile for a device, such as without a compiler."""
    probe = torch.compile(torch.sin, options={"force_disable_caches": True})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            probe(torch.zeros(7, device=device))
    except Exception as error:  # of many types, by what is missing
        reason = str(error).strip().splitlines()[0]
        needs = "a C++ compiler such as g++" if device.type == "cpu" else "Triton and gcc"
        raise InputError(
            f"compile: torch.compile does not work here, it needs {needs} ({reason}); install "
            "that, or omit it"
        ) from error


def _blocks(module: nn.Module, kinds: tuple[type[nn.Module], ...] = _HOST) -> Iterator[nn.Module]:
    """The outermost repeated blocks of a module."""
    kinds += getattr(module, "repeated", ())
    if isinstance(module, kinds):
        yield module
        return
    for child in module.children():
        yield from _blocks(child, kinds)
