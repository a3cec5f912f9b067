"""The page of a run in a real browser: its figures are dark where the page is."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from forecast.report import style
from forecast.report.figures import save
from forecast.report.page import write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH"),
]


@pytest.mark.parametrize(("scheme", "least", "most"), [("light", 0.9, 1.0), ("dark", 0.05, 0.2)])
def test_a_figure_is_as_light_as_the_page(scheme: str, least: float, most: float, tmp_path: Path) -> None:
    figure = save(style.blank(height=2), tmp_path / "empty.png")
    page = write_page(tmp_path / "report.html", title="t", sentence="", tables={}, figures={"Empty": figure}, facts={})
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(color_scheme=scheme)
        tab.goto(page.as_uri())
        seen = image.imread(io.BytesIO(tab.locator("img").screenshot()), format="png")[..., :3]
        browser.close()
    assert least <= float(np.median(seen)) <= most
