"""Benchmarks: counting operations as the paper does, and the commands that measure.

python -m fastmri_clgnet.benchmark --help
"""

from fastmri_clgnet.benchmark.macs import count_macs

__all__ = ["count_macs"]
