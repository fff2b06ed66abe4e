"""Headless Chromium through Selenium, for pages of the report and of the documentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

Browse = Callable[..., Any]


@pytest.fixture(scope="module")
def browse() -> Iterator[Browse]:
    """Start browsers, with or without JavaScript; close all afterwards."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("needs Chromium and its driver (Debian: chromium and chromium-driver)")
    drivers: dict[bool, Any] = {}

    def start(javascript: bool = True) -> Any:
        if javascript not in drivers:
            options = webdriver.ChromeOptions()
            options.binary_location = chromium
            for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
                options.add_argument(flag)
            options.add_argument("--window-size=1200,900")
            options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
            if not javascript:
                content = {"profile.managed_default_content_settings.javascript": 2}
                options.add_experimental_option("prefs", content)
            service = webdriver.ChromeService(driver_path)
            drivers[javascript] = webdriver.Chrome(options, service)
        return drivers[javascript]

    yield start
    for driver in drivers.values():
        driver.quit()


def open_page(browse: Browse, page: Path, javascript: bool = True) -> Any:
    """Open the page in a browser with empty logs."""
    driver = browse(javascript)
    for log in ("browser", "performance"):
        driver.get_log(log)
    driver.get(page.as_uri())
    return driver
