"""The built documentation in a browser; FASTMRI_CLGNET_SITE names its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import Browse, open_page

SITE = os.environ.get("FASTMRI_CLGNET_SITE")
PAGES = ["index", "tutorials/plot_1_shipped_weights", "explanation/results", "how-to/own-data"]


@pytest.mark.skipif(SITE is None, reason="needs FASTMRI_CLGNET_SITE, the built documentation")
@pytest.mark.parametrize("width", [1300, 400])
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_is_whole(browse: Browse, name: str, width: int) -> None:
    """No horizontal scrolling, no broken image, nothing in the console."""
    assert SITE is not None
    driver = browse()
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    open_page(browse, Path(SITE).resolve() / f"{name}.html")
    assert driver.get_log("browser") == []
    assert driver.execute_script("return innerWidth") == width
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    images = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
    assert driver.execute_script(images) == []
    assert driver.execute_script("return document.images.length") > 0
