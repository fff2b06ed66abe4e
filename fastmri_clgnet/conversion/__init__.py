"""Other data into fastMRI's format: `convert`, whatever the reader."""

from fastmri_clgnet.conversion.convert import Conversion, convert

__all__ = ["Conversion", "convert"]
