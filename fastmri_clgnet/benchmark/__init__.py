"""Benchmarks: counting operations as the paper does, and the commands that measure.

python -m fastmri_clgnet.benchmark --help
"""

from typing import TYPE_CHECKING

from fastmri_clgnet.lazy import lazy

if TYPE_CHECKING:
    from fastmri_clgnet.benchmark.macs import count_macs

__all__ = ["count_macs"]

__getattr__ = lazy(__name__, {"count_macs": "macs"})
