"""A picture of a page that a job wrote, as docs/comparison.md shows one.

    python benchmarks/screenshot.py PAGE FIGURE [--sections leaderboard skill ranks series] [--width 1000]

The page of docs/comparison.md is that of a table of docs/benchmarks.md with fewer models:

    forecast compare data=nn5_daily 'models=[gru,lstm,segrnn,deepar,ridge,gradient_boosting]' accelerator=cpu

Needs a Chromium on PATH and playwright, which `.[test]` has.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ONLY = """(kept) => document.querySelectorAll("main > section").forEach((section) => {
  section.hidden = !kept.includes(section.id);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("figure", type=Path)
    parser.add_argument("--sections", nargs="+", metavar="ID", help="of the page; all by default")
    parser.add_argument("--width", type=int, default=1000, help="in pixels; the page is laid out for it")
    arguments = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"there is no {' or '.join(BROWSERS)} on PATH.")
    with sync_playwright() as driver:
        # A browser run by root, as in containers, has no sandbox.
        started = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": arguments.width, "height": 900})
        page.goto(arguments.page.resolve(strict=True).as_uri())
        if arguments.sections:
            page.evaluate(ONLY, arguments.sections)
        page.screenshot(path=arguments.figure, full_page=True)
        started.close()


if __name__ == "__main__":
    main()
