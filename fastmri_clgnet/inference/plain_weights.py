"""Weights that other projects published: of fastMRI's U-Net and E2E-VarNet, and of DCCNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import fastmri
import torch
from fastmri.models import Unet, VarNet

from fastmri_clgnet.formats.state_names import difference, plain_names, printable
from fastmri_clgnet.models.comparison import DCCNN

# of modules around the network: a script's, a Lightning module
_PREFIXES = ("model", "varnet", "unet")
_WINDOW = "loss.w"  # of the SSIM loss, which fastMRI's VarNetModule has among its buffers
_FIRST, _CASCADE = "down_sample_layers.0.layers.0.weight", "cascades.0.model.unet."
_SENSITIVITIES = "sens_net.norm_unet.unet."
_ARRAY = "arr_{}"  # the names that numpy.savez gives to arrays without one


class PlainWeights(NamedTuple):
    """What a plain state dictionary turns out to be."""

    model: str  # unet, varnet or dccnn, of train_clgnet's --model
    arguments: dict[str, Any]  # of its Lightning module's constructor: the sizes
    state: dict[str, torch.Tensor]  # with the names of the Lightning module


def tell_network(weights: Mapping[str, torch.Tensor]) -> PlainWeights:
    """Tell which of fastMRI's networks a state dictionary is of, and its sizes.

    Args:
        weights: The state dictionary of a `fastmri.models.Unet` or `VarNet`, by itself or in other
            modules: the prefixes model., varnet. and unet. are removed, however they are stacked,
            and what torch.compile and DataParallel add to names.

    Returns:
        Model, arguments and state dictionary of the Lightning module here.

    Raises:
        ValueError: If it is of neither network; says what was found.
    """
    if not all(isinstance(name, str) for name in weights):
        raise ValueError("tensors whose names are no text")
    state = _without_prefixes(plain_names(weights))
    found = f"{len(weights)} tensors such as {printable(next(iter(weights), 'none'))}"
    try:
        if _FIRST in state:
            model, arguments = "unet", _unet_sizes(state, "")
            expected = _on_no_device(Unet, arguments)
        elif _CASCADE + _FIRST in state:
            model, arguments = "varnet", _varnet_sizes(state)
            sizes = {name: n for name, n in arguments.items() if name != "challenge"}
            expected = _on_no_device(VarNet, sizes)
            if arguments["challenge"] == "singlecoil":
                expected = {k: v for k, v in expected.items() if not k.startswith("sens_net.")}
        else:
            raise KeyError(_FIRST)
    except (LookupError, RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"{found}, which is no layout of fastMRI's U-Net or VarNet") from error
    if unfit := difference(state, expected):
        sizes_text = ", ".join(f"{key} {value}" for key, value in arguments.items())
        raise ValueError(f"{found}, like those of a {model} with {sizes_text}, but {unfit}")
    named = {f"{model}.{name}": values for name, values in state.items()}
    if model == "varnet":
        named[_WINDOW] = fastmri.SSIMLoss().w
    return PlainWeights(model, arguments, named)


def tell_arrays(arrays: Mapping[str, torch.Tensor]) -> PlainWeights:
    """Take the arrays that DCCNN's authors published as the weights of our DCCNN (D5C5).

    They are Lasagne's parameters in the order of the network: kernel, bias, kernel, and so on. That
    code undersamples the first axis of the image, fastMRI the last, so each kernel is transposed.
    It is not flipped: on a GPU that code takes Lasagne's `Conv2DDNNLayer`, which computes the
    cross-correlation, as torch does.

    Args:
        arrays: By the names arr_0, arr_1, ... of `numpy.savez`.

    Returns:
        Model, arguments and state dictionary of the Lightning module here.

    Raises:
        ValueError: If they are others; says what was found.

    References:
        https://github.com/js3611/Deep-MRI-Reconstruction, cascadenet/network and utils.
    """
    expected = _on_no_device(DCCNN, {})
    given = {_ARRAY.format(i): name for i, name in enumerate(expected)}
    state = {given.get(name, name): values for name, values in arrays.items()}
    if unfit := difference(state, expected):
        raise ValueError(f"{len(arrays)} arrays, where DCCNN (D5C5) has {len(expected)}: {unfit}")
    kernels = {name: values.mT.contiguous() for name, values in state.items() if values.ndim == 4}
    named = {f"network.{name}": kernels.get(name, state[name]) for name in expected}
    return PlainWeights("dccnn", {"method": "dccnn"}, named)


def _without_prefixes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    state = dict(weights)
    while True:
        state.pop(_WINDOW, None)
        heads = {name.partition(".")[0] for name in state}
        if len(heads) != 1 or not heads <= set(_PREFIXES):
            return state
        state = {name.partition(".")[2]: values for name, values in state.items()}


def _unet_sizes(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, int]:
    n_pools = _count(state, f"{prefix}down_sample_layers.")
    chans, in_chans = state[prefix + _FIRST].shape[:2]
    out_chans = state[f"{prefix}up_conv.{n_pools - 1}.1.weight"].shape[0]
    return {
        "in_chans": in_chans,
        "out_chans": out_chans,
        "chans": chans,
        "num_pool_layers": n_pools,
    }


def _varnet_sizes(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    cascade = _unet_sizes(state, _CASCADE)
    arguments: dict[str, Any] = {
        "num_cascades": _count(state, "cascades."),
        "pools": cascade["num_pool_layers"],
        "chans": cascade["chans"],
        "challenge": "singlecoil",
    }
    if any(name.startswith("sens_net.") for name in state):
        sizes = _unet_sizes(state, _SENSITIVITIES)
        arguments["challenge"] = "multicoil"
        arguments["sens_pools"] = sizes["num_pool_layers"]
        arguments["sens_chans"] = sizes["chans"]
    return arguments


def _count(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    """How many members a list of modules has."""
    tails = (name[len(prefix) :] for name in state if name.startswith(prefix))
    return len({tail.partition(".")[0] for tail in tails})


def _on_no_device(network: type, sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Names and shapes of a network's tensors, without their memory."""
    with torch.device("meta"):
        state: dict[str, torch.Tensor] = network(**sizes).state_dict()
    return state
