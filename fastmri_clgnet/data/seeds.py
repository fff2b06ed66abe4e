"""Seeds that are made of several numbers."""

from __future__ import annotations

import numpy as np


def derive_seed(*values: int) -> int:
    """Mix whole numbers, 0 or more, to a seed of 32 bits; zeros at the end change nothing."""
    return int(np.random.SeedSequence(values).generate_state(1)[0])
