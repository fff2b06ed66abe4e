"""The page in a real browser: headless Chromium through Selenium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from fastmri_clgnet.report import main
from tests.browser import Browse, open_page
from tests.reporting.conftest import HOSTILE, Folders


@pytest.fixture(scope="module")
def page(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two folders, with a requested slice of the volume with the hostile name."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    command = [str(folders.bad), str(folders.good), "--target-path", str(folders.targets)]
    command += ["--labels", HOSTILE, "good", "--slices", f"{HOSTILE}.h5:2", "plain.h5:3"]
    assert main([*command, "--output", str(path)]) == 0
    return path


def requests(driver: Any) -> list[str]:
    """Addresses requested since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def test_loads_without_errors_and_asks_for_nothing(browse: Browse, page: Path) -> None:
    driver = open_page(browse, page)
    assert driver.get_log("browser") == []
    asked = requests(driver)
    assert page.as_uri() in asked
    assert all(url == page.as_uri() or url.startswith("data:") for url in asked)
    broken = "return [...document.images].filter(i => i.src && !i.naturalWidth).length"
    assert driver.execute_script(broken) == 0
    # names are text, not markup
    assert HOSTILE in driver.find_element(By.TAG_NAME, "h3").text
    assert driver.find_elements(By.CSS_SELECTOR, "img[onerror]") == []


def test_policy_stops_requests(browse: Browse, page: Path) -> None:
    """Even markup that gets into the page by mistake cannot make a request."""
    driver = open_page(browse, page)
    driver.execute_script("document.body.append(Object.assign(new Image(), {src: 'http://a.b/c'}))")
    (error,) = driver.get_log("browser")
    assert "Content Security Policy" in error["message"]


def test_slider_goes_through_the_volume(browse: Browse, page: Path) -> None:
    driver = open_page(browse, page)
    panel = driver.find_element(By.CLASS_NAME, "panel")
    slider = panel.find_element(By.CSS_SELECTOR, ".slider input")
    (image, error) = panel.find_elements(By.CSS_SELECTOR, "figure:first-child img")
    caption = panel.find_element(By.CLASS_NAME, "caption")

    def shown() -> tuple[str, ...]:
        under = panel.find_element(By.CLASS_NAME, "under").get_attribute("src")
        number = panel.find_element(By.CLASS_NAME, "shown").text
        return (image.get_attribute("src"), error.get_attribute("src"), caption.text, under, number)

    before = shown()
    assert before[-1] == "2"
    slider.send_keys(Keys.ARROW_RIGHT)
    after = shown()
    assert after[-1] == "3"
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert image.get_attribute("alt").endswith("slice 3")
    slider.send_keys(Keys.ARROW_LEFT)
    assert shown() == before
    slider.send_keys(Keys.END)
    assert shown()[-1] == "7"
    assert driver.get_log("browser") == []


def test_wipe_by_keyboard_and_mouse(browse: Browse, page: Path) -> None:
    driver = open_page(browse, page)
    panel = driver.find_element(By.CLASS_NAME, "panel")
    over = panel.find_element(By.CLASS_NAME, "over")
    stage = panel.find_element(By.CLASS_NAME, "stage")
    position = panel.find_element(By.CLASS_NAME, "position")

    def cut() -> float:
        """Per cent of the upper image that are hidden on the right."""
        return float(over.value_of_css_property("clip-path").split()[1].rstrip("%"))

    assert cut() == 50
    position.send_keys(Keys.ARROW_RIGHT)
    assert cut() == 49
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    width = stage.size["width"]
    ActionChains(driver).move_to_element(stage).click_and_hold().move_by_offset(
        -width // 4, 0
    ).release().perform()
    assert cut() == pytest.approx(75, abs=1)
    # what is drawn changes with it
    pictures = [stage.screenshot_as_png]
    position.send_keys(Keys.HOME)
    assert cut() == 100
    pictures.append(stage.screenshot_as_png)
    position.send_keys(Keys.END)
    assert cut() == 0
    pictures.append(stage.screenshot_as_png)
    assert len(set(pictures)) == 3
    # another image on the left
    before = over.get_attribute("src")
    panel.find_element(By.CLASS_NAME, "left").send_keys("error of good")
    assert over.get_attribute("src") != before
    assert driver.get_log("browser") == []


def test_is_static_without_javascript(browse: Browse, page: Path) -> None:
    driver = open_page(browse, page, javascript=False)
    images = driver.find_elements(By.CSS_SELECTOR, ".row img")
    assert len(images) == 5 * 5  # two requested, worst, median, best; two methods and the target
    assert all(image.is_displayed() and image.size["width"] > 100 for image in images)
    for name in ("slider", "wipe"):
        assert not driver.find_element(By.CLASS_NAME, name).is_displayed()


def test_fits_a_phone(browse: Browse, page: Path) -> None:
    driver = open_page(browse, page)
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(page.as_uri())
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    image = driver.find_element(By.CSS_SELECTOR, ".row img")
    assert image.size["width"] > 130
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
