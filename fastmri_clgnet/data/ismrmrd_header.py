"""The ISMRMRD header of fastMRI's files."""

from __future__ import annotations

import ismrmrd


def ismrmrd_header(
    encoded: tuple[int, int],
    recon: tuple[int, int],
    acquired: tuple[int, int] | None = None,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
) -> bytes:
    """The ISMRMRD header that fastMRI reads, for two-dimensional Cartesian sampling.

    Args:
        encoded: Rows (readout) and columns (phase encodings) of the k-space.
        recon: Rows and columns of the reconstructed image.
        acquired: First column that was measured, and the one behind the last; the others are zero
            filled. By default all. fastMRI calls them padding_left and padding_right.
        pixel_mm: Height and width of a pixel in millimetres, for the fields of view.

    Returns:
        The XML text, UTF-8.
    """
    first, end = (0, encoded[1]) if acquired is None else acquired

    def space(size: tuple[int, int]) -> ismrmrd.xsd.encodingSpaceType:
        return ismrmrd.xsd.encodingSpaceType(
            matrixSize=ismrmrd.xsd.matrixSizeType(x=size[0], y=size[1], z=1),
            fieldOfView_mm=ismrmrd.xsd.fieldOfViewMm(
                x=size[0] * pixel_mm[0], y=size[1] * pixel_mm[1], z=1.0
            ),
        )

    encoding = ismrmrd.xsd.encodingType(
        encodedSpace=space(encoded),
        reconSpace=space(recon),
        encodingLimits=ismrmrd.xsd.encodingLimitsType(
            kspace_encoding_step_1=ismrmrd.xsd.limitType(
                minimum=0, maximum=end - first - 1, center=encoded[1] // 2 - first
            )
        ),
        trajectory=ismrmrd.xsd.trajectoryType("cartesian"),
    )
    conditions = ismrmrd.xsd.experimentalConditionsType(H1resonanceFrequency_Hz=0)
    header = ismrmrd.xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    text: str = header.toXML("utf-8")
    return text.encode()
