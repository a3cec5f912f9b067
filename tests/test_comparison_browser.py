"""The page of a comparison works in a real browser: by mouse and keyboard, on a phone, in the dark, off the network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparisons import made

from forecast.report.comparison.page import comparison_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH"),
]

# Every piece of text that can be seen, with the ratio of its colour to what lies behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parts(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return null;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, title, option, datalist")) continue;
    if (!element.getClientRects().length || element.closest(".unseen, :disabled")) continue;
    const style = getComputedStyle(element);
    const ink = light(parts(element.closest("svg") ? style.fill : style.color));
    const paper = light(behind(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push([ratio, element.tagName, walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""

OUTSIDE = """() => [...document.querySelectorAll(".chart text")].filter((text) => {
  const [own, box] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
  return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
}).map((text) => text.textContent)"""

OVERLAPS = """(name) => {
  const texts = [...document.querySelectorAll(`[data-chart=${name}] text`)];
  const boxes = texts.map((text) => text.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
  return boxes.flatMap((box, place) => boxes.slice(place + 1).filter((other) => meet(box, other))).length;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("comparison") / "comparison.html"
    comparison = made(data=("electricity", "weather"), horizons=(7, 14), series=6)
    path.write_text(comparison_page(comparison), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # A browser run by root, as in containers, has no sandbox.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """Open the page with some settings of the browser; complaints and requests fail the test."""
    contexts, wrong = [], []

    def start(*, width: int = 1200, height: int = 900, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.split("#")[0] == address else wrong.append(request.url))
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert wrong == []


def _column(page: Any, name: str, *, place: int) -> list[str]:
    return page.locator(f"{name} tbody tr > :nth-child({place})").all_inner_texts()


def test_a_leaderboard_sorts_by_click_and_by_keyboard(opened: Any) -> None:
    page = opened()
    board = "#leaderboard .panel:not([hidden])"
    models = _column(page, board, place=1)
    head = page.locator(f"{board} thead th", has_text="MASE").first
    head.get_by_role("button").click()
    errors = [float(text) for text in _column(page, board, place=3)]
    assert head.get_attribute("aria-sort") == "ascending" and errors == sorted(errors)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in _column(page, board, place=3)] == errors[::-1]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    spreads = _column(page, board, place=4)
    absent = spreads.index("\N{EN DASH}")
    assert set(spreads[absent:]) == {"\N{EN DASH}"} and absent == 4  # methods without a seed come last
    page.keyboard.press("Space")
    assert set(_column(page, board, place=4)[absent:]) == {"\N{EN DASH}"}
    page.locator(f"{board} thead button").first.click()
    assert _column(page, board, place=1) == sorted(models)


def test_the_first_click_puts_the_best_on_top(opened: Any) -> None:
    page = opened()
    board = "#leaderboard .panel:not([hidden])"
    heads = [text.strip() for text in page.locator(f"{board} thead th").all_text_contents()]
    for name, wanted in (("skill, %", max), ("wins", max), ("80 % covers, %", lambda held: min(held, key=_from_80))):
        page.locator(f"{board} thead th", has_text=name).get_by_role("button").click()
        texts = _column(page, board, place=heads.index(name) + 1)
        values = [float(text.split()[0].replace("\N{MINUS SIGN}", "-")) for text in texts if text != "\N{EN DASH}"]
        assert values[0] == wanted(values) and len(set(values)) > 1, name


def _from_80(value: float) -> float:
    return abs(value - 80)


def test_data_set_and_horizon_change_every_part(opened: Any) -> None:
    page = opened()
    before = page.locator("[data-chart=skill] svg").inner_html()
    page.select_option("#data", "weather")
    page.select_option("#horizon", "14")
    assert page.locator("#leaderboard h3:visible").all_inner_texts() == ["weather, horizon 14"]
    assert page.locator("[data-chart=skill] svg").inner_html() != before
    assert page.locator("#which").inner_text() == "weather 1 (1 of 6)"
    assert "step 14" in page.locator("[data-chart=steps] title").all_text_contents()[-1]
    page.select_option("#data", "electricity")
    assert page.locator("#horizon").input_value() == "14"


def test_all_columns_are_shown_when_asked_for(opened: Any) -> None:
    page = opened()
    heads = page.locator("#leaderboard .panel:not([hidden]) thead th:visible")
    few = heads.count()
    page.get_by_label("all columns").check()
    assert heads.count() > few and "MSIS 80" in " ".join(heads.all_inner_texts())


def test_legend_hides_and_shows_a_model(opened: Any) -> None:
    page = opened()
    lines = page.locator("[data-chart=steps] [data-model]")
    count = lines.count()
    button = page.locator("#steps .legend button", has_text="gru")
    button.focus()
    page.keyboard.press("Space")
    assert (lines.count(), button.get_attribute("aria-pressed")) == (count - 1, "false")
    page.keyboard.press("Space")
    assert (lines.count(), button.get_attribute("aria-pressed")) == (count, "true")
    metric = page.locator("[data-metric]")
    metric.select_option("crps")
    assert lines.count() == count - 2  # naive and ridge give no distribution
    for button in page.locator("#steps .legend button").all():
        button.click()
    assert "No model is shown" in page.locator("[data-chart=steps]").inner_text()


def test_explorer_goes_from_series_to_series(opened: Any) -> None:
    page = opened()
    which, find = page.locator("#which"), page.locator("#find")
    assert page.locator("#previous").is_disabled()
    page.locator("#next").click()
    assert which.inner_text() == "electricity 2 (2 of 6)" and find.input_value() == "electricity 2"
    find.fill("ricity 5")
    find.press("Enter")
    assert which.inner_text() == "electricity 5 (5 of 6)"
    find.fill("none such")
    find.press("Enter")
    assert "No series is named like" in which.inner_text()
    page.select_option("#order", "worst")
    page.select_option("#judge", label="naive")
    errors = []
    for place in range(6):
        errors.append(float(which.inner_text().split()[-1].rstrip(")")))
        if place < 5:
            page.locator("#next").click()
    assert errors == sorted(errors, reverse=True) and page.locator("#next").is_disabled()
    before = page.locator("[data-chart=series] svg").get_attribute("aria-label")
    page.select_option("#origin", "0")
    assert page.locator("[data-chart=series] svg").get_attribute("aria-label") != before


def test_the_explorer_says_of_how_many_series_it_has_forecasts(browser: Any, tmp_path: Path) -> None:
    one = made(data=("a",), horizons=(7,), series=6)
    few = one.forecasts[one.forecasts["series"].isin(["a 1", "a 4"]) & one.forecasts["fold"].eq(2)]
    path = tmp_path / "comparison.html"
    path.write_text(comparison_page(replace(one, forecasts=few)), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.locator("#kept").inner_text() == (
        "Forecasts are here of 2 of 6 series, spread evenly, and 1 of 2 origins. "
        "Worst and best first are among these; the table per_series has the errors of all."
    )
    page.locator("#next").click()
    assert page.locator("#which").inner_text() == "a 4 (2 of 2 kept)"
    page.close()


def test_values_are_read_by_keyboard_and_by_pointer(opened: Any) -> None:
    page = opened()
    day = page.locator(".readout th").first
    first = day.inner_text()
    page.locator("#cursor").focus()
    page.keyboard.press("ArrowRight")
    second = day.inner_text()
    assert second > first and page.locator("#cursor").get_attribute("aria-valuetext") == second
    rows = page.locator(".readout tbody tr")
    assert rows.first.inner_text().startswith("what came") and rows.count() == 3
    page.keyboard.press("Home")
    assert rows.count() == 1 and rows.first.inner_text().startswith("history")
    chart = page.locator("[data-chart=series] svg")
    chart.hover(position={"x": chart.bounding_box()["width"] - 12, "y": 100})
    assert day.inner_text() > second


def test_every_control_is_reached_by_keyboard_and_none_holds_it(opened: Any) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    kinds = "a, button, select, input, summary, pre, .point"
    wanted = page.evaluate(
        """(kinds) => [...document.querySelectorAll(`main :is(${kinds})`)]
        .filter((element) => element.checkVisibility() && !element.disabled).length""",
        kinds,
    )
    page.evaluate("window.met = new Set(); addEventListener('focusin', (event) => met.add(event.target))")
    for _ in range(2 * wanted):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    assert page.evaluate("document.activeElement === document.body"), "the last control keeps the focus"
    reached = page.evaluate("[...met].filter((element) => !element.matches('.scroll, main')).length")
    assert reached == wanted
    page.locator("#next").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("width", [320, 360, 768])
def test_no_width_scrolls_the_page_sideways(opened: Any, width: int) -> None:
    page = opened(width=width, height=740, device_scale_factor=2)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_lies_behind_it(opened: Any, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    papers = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == papers[scheme]
    page.get_by_label("all columns").check()
    for summary in page.locator("summary").all():
        summary.click()
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 300 and [each for each in contrasts if each[0] < 4.5] == []
    colours = page.evaluate("""() => [0, 1, 2, 3, 4, 5, 6, 7].map((place) => {
        const probe = Object.assign(document.createElement("p"), { className: "c" + place, textContent: "x" });
        document.body.append(probe);
        probe.style.color = "var(--c)";
        return getComputedStyle(probe).color;
    })""")
    assert len(set(colours)) == 8


def test_paper_keeps_heads_and_legends_and_drops_controls(opened: Any) -> None:
    page = opened()
    page.emulate_media(media="print")
    board = page.locator("#leaderboard .panel:not([hidden]) thead th:visible")
    assert [text.strip() for text in board.all_inner_texts()][:3] == ["model", "rank", "MASE"]
    assert page.locator("#steps .legend button:visible").count() == 8
    assert page.locator("#series .legend button:visible").count() == 2
    assert page.locator("select:visible:not([data-metric]), input:visible, nav:visible").count() == 0


def test_tables_are_all_there_without_scripts(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#leaderboard h3:visible").count() == 4
    assert page.locator("#leaderboard th:visible", has_text="MSIS 80").count() == 4
    assert page.locator(".chart:visible, select:visible, button:visible").count() == 0
    assert page.locator("noscript").inner_text().startswith("The charts need JavaScript")


def test_commands_are_copied(opened: Any) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("#settings button")
    button.click()
    button.filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        "forecast compare 'datasets=[electricity,weather]'"
    )


def test_names_that_are_code_do_nothing(browser: Any, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    path = tmp_path / "comparison.html"
    path.write_text(comparison_page(made(data=(evil, "b"), models=("gru", "naive", evil), series=2)), encoding="utf-8")
    page = browser.new_page()
    wrong: list[str] = []
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    for button in page.locator("#series .legend button[aria-pressed=false]").all():
        button.click()
    assert (page.locator("img").count(), wrong) == (0, [])
    assert page.locator("#data option").first.text_content() == evil
    page.close()


@pytest.mark.parametrize("width", [390, 620, 1280])
def test_no_skill_reaches_beyond_its_chart(browser: Any, tmp_path: Path, width: int) -> None:
    one = made(data=("a",), horizons=(7,), series=3)
    skill = {"skill": -123.4567, "skill_low": -1234.5678, "skill_high": -12.3456}
    one = replace(one, leaderboard=one.leaderboard.assign(**skill))
    path = tmp_path / "comparison.html"
    path.write_text(comparison_page(one), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(path.as_uri())
    assert page.locator("[data-chart=skill] text").count() > 8 and page.evaluate(OUTSIDE) == []
    page.close()


def test_every_model_is_named_beside_its_time_and_reached_by_keyboard(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    models = ("seasonal_naive", *(f"recurrent_{number}" for number in range(24)))
    path.write_text(comparison_page(made(data=("a",), horizons=(7,), models=models, series=3)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    names = page.locator("[data-chart=tradeoff] svg text").all_text_contents()
    assert set(models) <= set(names) and page.evaluate(OVERLAPS, "tradeoff") == 0
    points = page.locator("[data-chart=tradeoff] .point")
    assert points.count() == 25
    points.first.focus()
    page.keyboard.press("Tab")
    told = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert told == points.nth(1).get_attribute("aria-label") == page.locator(".reading").inner_text()
    assert re.fullmatch(r"\w+: MASE [\d.]+, [\d.]+ s(, on the front)?", told)
    page.close()


def test_many_models_keep_their_names_apart(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    models = (*(f"model_with_name_{number}" for number in range(14)), "seasonal_naive")
    path.write_text(comparison_page(made(data=("a",), horizons=(7,), models=models, series=8)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(path.as_uri())
    assert [page.evaluate(OVERLAPS, name) for name in ("ranks", "skill", "tradeoff")] == [0, 0, 0]
    shown = page.locator("#steps .legend [aria-pressed=true]").all_inner_texts()
    assert len(shown) == 6 and shown[-1] == "seasonal_naive"
    assert page.locator("[data-chart=steps] [data-model]").count() == 6
    looks = page.locator("#steps .legend svg").evaluate_all("all => all.map((one) => one.outerHTML)")
    assert len(set(looks)) == 15
    page.close()
