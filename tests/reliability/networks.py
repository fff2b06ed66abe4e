"""A tiny network for every trained --model."""

from __future__ import annotations

from tests.helpers import SMALL

VARNET = ["--num_cascades", "2", "--chans", "4", "--pools", "2"]
NETWORKS = {
    "clgnet": SMALL,
    "unet": ["--chans", "4", "--num_pool_layers", "2"],
    "clgnet_dc": SMALL[:-2],
    "clgvarnet": [*SMALL[:-2], "--num_cascades", "2"],
    "varnet": VARNET,
    **{name: list[str]() for name in ("dccnn", "ista", "cddn", "pd", "dudor", "octconv")},
}
