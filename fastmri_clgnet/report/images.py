"""Images as data addresses, which a page holds in itself."""

from __future__ import annotations

import base64
import functools
import io

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image

ERROR_COLOURS = "inferno"
TARGET = "target"


@functools.cache
def colour_table() -> npt.NDArray[np.uint8]:
    """The error maps' 256 colours, (256, 3)."""
    return mpl.colormaps[ERROR_COLOURS](np.arange(256), bytes=True)[:, :3]


def data_address(values: bytes, kind: str) -> str:
    """A file's contents as an address, such as for `kind` "image/webp"."""
    return f"data:{kind};base64,{base64.b64encode(values).decode('ascii')}"


def encode(
    image: npt.NDArray[np.float32], upper: float, quality: int, colours: bool = False
) -> str:
    """Encode an image as WebP.

    Args:
        image: (height, width), shown from 0 to `upper`.
        upper: The value that is white, or the brightest colour.
        quality: 0 to 100.
        colours: Whether to use the error maps' colours, or grey.

    Returns:
        A data address.
    """
    levels = np.clip(np.rint(image * (255 / upper)), 0, 255).astype(np.uint8)
    picture = Image.fromarray(colour_table()[levels] if colours else levels)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=quality)
    return data_address(stream.getvalue(), "image/webp")


def colour_bar() -> str:
    """The error maps' colours as a CSS gradient."""
    stops = ", ".join("#{:02x}{:02x}{:02x}".format(*colour_table()[i]) for i in range(0, 256, 15))
    return f"linear-gradient(to right, {stops})"
