"""The page of a comparison stands alone, shows names as they are, and its tables can be pasted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from comparisons import made

from forecast.comparison.comparison import Comparison
from forecast.errors import ConfigError
from forecast.evaluation.metrics import METRICS
from forecast.report.comparison.columns import COSTS, METRIC, Column, best_of, leaderboard_columns
from forecast.report.comparison.compared import models_of
from forecast.report.comparison.diagram import bars, bars_of_groups, pareto_front
from forecast.report.comparison.page import comparison_page
from forecast.report.comparison.payload import payload
from forecast.report.comparison.sheets import models_sheet
from forecast.report.comparison.tables import latex_table, markdown_table
from forecast.report.comparison.words import words_of

EVIL = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "img", "input", "br", "link"}


class _Page(HTMLParser):
    """Tags with attributes, and the text inside each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def small() -> Comparison:
    return made(data=("electricity", "sales"), horizons=(7,), series=4)


@pytest.fixture(scope="module")
def text(small: Comparison) -> str:
    return comparison_page(small)


def _numbers(text: str) -> dict:
    [found] = re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', text, flags=re.S)
    return json.loads(found)


def test_every_tag_is_closed_and_every_link_leads_to_a_section(text: str) -> None:
    page = _Page(text)
    assert page.open == []
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(identifiers) == len(set(identifiers))
    assert links and {str(link) for link in links} <= {f"#{name}" for name in identifiers}
    assert [tag for tag, _ in page.tags].count("h1") == 1


def test_page_asks_for_nothing_outside_and_allows_its_own_script_alone(text: str) -> None:
    page = _Page(text)
    outside = {"src", "srcset", "action", "data", "poster", "background", "style", "ping"}
    assert not [attributes for _, attributes in page.tags if outside & attributes.keys()]
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "img"} == set()
    # The one address is the name of SVG, which nothing is fetched from.
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\(|innerHTML|insertAdjacentHTML|\beval\(", text
    )
    [policy] = [tag["content"] for _, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy"]
    script, style = page.texts["script"][-1], page.texts["style"][0]
    sums = [b64encode(sha256(part.encode()).digest()).decode() for part in (style, script)]
    allowed = f"default-src 'none'; style-src 'sha256-{sums[0]}'; script-src 'sha256-{sums[1]}'"
    assert policy == f"{allowed}; base-uri 'none'; form-action 'none'"


def test_names_from_outside_are_shown_as_they_are() -> None:
    models = ("gru", "seasonal_naive", EVIL)
    strange = made(data=(EVIL, "sales & co"), horizons=(7,), models=models, series=3)
    strange = replace(strange, sentences=[EVIL], settings={EVIL: [EVIL], "commands": [EVIL]})
    text = comparison_page(strange)
    page = _Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.tags} & {"img"} == set()
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    numbers = _numbers(text)
    assert EVIL in numbers["models"] and numbers["panels"][0]["data"] == EVIL
    assert numbers["panels"][0]["explorer"][0]["name"] == f"{EVIL} 1"
    for tag in ("li", "th", "h3", "dt", "dd", "pre"):
        assert any(EVIL in part for part in page.texts[tag]), tag


def test_the_words_and_every_table_need_no_script(small: Comparison, text: str) -> None:
    page = _Page(re.sub(r"<script.*?</script>", "", text, flags=re.S))
    words = [*page.texts["p"], *page.texts["li"]]
    assert all(sentence in words for sentence in small.sentences)
    rows = page.texts["th"]
    for model in small.leaderboard["model"].unique():
        # Overview, two leaderboards, two tables of costs at the least.
        assert rows.count(model) >= 5
    assert any("log transform takes positive values only" in part for part in page.texts["td"])
    assert {"MASE", "skill, %", "MSIS 80", "fit, s"} <= set(page.texts["dt"])
    assert any("forecast compare 'datasets=[electricity,sales]'" in part for part in page.texts["pre"])
    assert "commands" not in page.texts["dt"] and "protocol.folds" in page.texts["dt"]


def test_each_value_of_the_leaderboard_stands_in_the_page(small: Comparison, text: str) -> None:
    values = {float(value) for value in re.findall(r'data-value="([^"]+)"', text)}
    columns = [*METRICS, "rank", "skill", "owa", "fit_seconds", "parameters", "mase_sd"]
    held = small.leaderboard[columns].to_numpy(float).ravel()
    wanted = {float(f"{value:.5g}") for value in held if np.isfinite(value)}
    assert wanted <= values


def test_numbers_of_charts_have_five_digits_and_no_nan(text: str) -> None:
    [raw] = re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', text, flags=re.S)
    json.loads(raw, parse_constant=pytest.fail)
    raw = re.sub(r'"[^"]*"', "", raw)  # texts are those of the tables
    digits = [re.sub(r"[-.]|e.*", "", number).strip("0") for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", raw)]
    assert max(map(len, digits)) <= 5


def test_charts_read_what_the_tables_read(small: Comparison) -> None:
    board = small.leaderboard.assign(skill=-1.6684501, skill_low=-1.9, skill_high=0.004999)  # five digits end in 5
    [one, *_] = _numbers(comparison_page(replace(small, leaderboard=board)))["panels"]
    rows = board[board["data"].eq("electricity")]
    sheet = models_sheet(rows, leaderboard_columns("mase", reference="seasonal_naive"))
    cells = {head.text: cell for head, cell in zip(sheet.heads, sheet.rows[0], strict=True)}
    texts = one["board"][0]["texts"]
    assert cells["skill, %"].whole == texts["skill"] == "-166.8 (-190.0 to 0.5)".replace("-", "\N{MINUS SIGN}")
    assert (texts["error"], texts["seconds"]) == (cells["MASE"].text, cells["fit, s"].text)


def test_explorer_holds_history_truth_and_forecasts_on_one_list_of_times(small: Comparison, text: str) -> None:
    numbers = _numbers(text)
    series = numbers["panels"][0]["explorer"][1]
    frame = small.forecasts.query("data == 'electricity' and series == 'electricity 2' and fold == 2")
    rows = frame[frame["model"].eq("gru") & frame["seed"].eq(1)]
    fold = series["folds"][1]
    place = fold["first"]
    assert series["times"][place : place + 7] == rows["time"].dt.strftime("%Y-%m-%d").tolist()
    assert series["y"][place : place + 7] == pytest.approx(rows["y"].tolist(), rel=1e-4)
    shown = fold["models"][str(numbers["models"].index("gru"))]
    columns = ["forecast", "q0.025", "q0.1", "q0.9", "q0.975"]
    np.testing.assert_allclose(shown, rows[columns].to_numpy().T, rtol=1e-4)
    assert len(fold["models"][str(numbers["models"].index("naive"))]) == 1
    history = small.history.query("series == 'electricity 2'").set_index("time")["y"]
    before = history[history.index < rows["time"].min()]
    assert series["y"][:place] == pytest.approx(before.tolist()[-place:], rel=1e-4)


def test_words_of_several_data_sets_say_once_what_holds_of_several() -> None:
    many = made(data=("stocks", "weather"), horizons=(7, 14), series=2)
    against = many.against.assign(significant=False)
    wins = against["data"].eq("weather") & against["horizon"].eq(14) & against["model"].eq("gru")
    against.loc[wins, ["significant", "win_rate", "skill"]] = [True, 0.9, 0.2]
    alike = "No model here is shown to be better than repeating the last value."
    said = [f"{name}: {alike}" for name in ("stocks, horizon 7", "stocks, horizon 14", "weather, horizon 7")]
    said += ["weather, horizon 14: gru beats naive.", "Of no data set."]
    words = words_of(replace(many, against=against, sentences=said))
    assert words.lead == (
        "On 1 of 4 data sets and horizons a model is significantly better than the better of naive and seasonal naive: "
        "weather 14."
    )
    assert words.shared == [f"stocks 7, stocks 14 and weather 7: {alike}"]
    assert words.single == ["weather 14: gru beats naive.", "Of no data set."]
    never = words_of(replace(many, against=against.assign(significant=False), sentences=said))
    assert never.lead.startswith("On none of 4 data sets and horizons is a model shown to be better")


def test_words_of_one_data_set_stay_as_they_are() -> None:
    one = made(data=("stocks",), horizons=(7,), series=2)
    assert [words_of(one).lead, *words_of(one).shared] == one.sentences


def test_defaults_stand_behind_what_was_asked_for(small: Comparison) -> None:
    models = {"gru": {"model": {"layers": 1}}, "mine": {"model": {"layers": 2}}}
    settings = {**small.settings, "models": models, "training": {"steps": 5}, "protocol": {"folds": 5, "step": None}}
    text = comparison_page(replace(small, settings=settings)).split('<section id="settings">')[1]
    asked, resolved = re.split(r"<details>\s*<summary>Everything", text)[:2]
    assert "<dt>models</dt><dd>gru, mine</dd>" in asked and "<dt>protocol.folds</dt><dd>5</dd>" in asked
    assert "layers" not in asked and "training" not in asked and "None" not in asked
    for name in ("models.gru.model.layers", "models.mine.model.layers", "training.steps", "protocol.step"):
        assert f"<dt>{name}</dt>" in resolved


def test_what_is_too_much_is_left_out_and_told(small: Comparison) -> None:
    whole, nothing = payload(small)
    assert nothing == []
    cut, told = payload(small, room=len(whole) - 1)
    assert len(cut) < len(whole) and told == ["forecasts from all origins but the newest"]
    tiny, told = payload(small, room=2_000)
    assert told == [
        "errors by step but those that models are ranked by",
        "forecasts from all origins but the newest",
        "the forecasts of all but 0 series of each data set",
    ]
    assert all(panel["explorer"] == [] and list(panel["steps"]) == ["mase"] for panel in json.loads(tiny)["panels"])


def test_a_page_over_the_limit_says_what_it_left_out(small: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "__kwdefaults__", {"room": 40_000})
    assert "this page leaves out" in comparison_page(small)


def test_page_of_one_series_without_intervals_has_no_empty_sections() -> None:
    alone = made(data=("stocks",), horizons=(7,), series=1, intervals=False, failed=False)
    empty = {name: getattr(alone, name).iloc[:0] for name in ("ranks", "per_step", "forecasts")}
    text = comparison_page(replace(alone, **empty))
    identifiers = {attributes.get("id") for _, attributes in _Page(text).tags}
    assert identifiers & {"ranks", "steps", "series", "intervals", "overview", "failures", "data", "horizon"} == set()
    assert {"leaderboard", "skill", "costs", "settings", "paste"} <= identifiers
    assert "80 % covers" not in text.split("<script")[0]


def test_times_kept_as_text_read_the_same(small: Comparison) -> None:
    kept = {name: getattr(small, name).astype({"time": str}) for name in ("history", "forecasts")}
    told = comparison_page(replace(small, **kept))
    assert _numbers(told) == _numbers(comparison_page(small))


@pytest.mark.parametrize("kind", [int, str])
def test_integer_times_are_ordered_as_numbers(kind: type) -> None:
    one = made(data=("steps",), horizons=(7,), series=1)
    start = one.history["time"].min()
    counted = (rows.assign(time=(rows["time"] - start).dt.days.astype(kind)) for rows in (one.history, one.forecasts))
    history, forecasts = counted
    [series] = _numbers(comparison_page(replace(one, history=history, forecasts=forecasts)))["panels"][0]["explorer"]
    assert series["times"] == [str(number) for number in range(int(series["times"][0]), int(series["times"][-1]) + 1)]


def test_a_comparison_in_which_everything_failed_says_so(small: Comparison) -> None:
    names = ("scores", "per_series", "per_step", "forecasts", "history", "calibration", "leaderboard", "pairs", "ranks")
    nothing = replace(small, sentences=[], **{name: getattr(small, name).iloc[:0] for name in names})
    text = comparison_page(nothing)
    assert "Comparison of 0 models" in text and "log transform takes positive values only" in text


def test_models_are_ranked_by_mae_where_one_has_no_mase(small: Comparison) -> None:
    board = small.leaderboard
    lacking = board["model"].eq("gru") & board["data"].eq("sales")
    text = comparison_page(replace(small, leaderboard=board.assign(mase=board["mase"].mask(lacking))))
    assert [panel["metric"] for panel in _numbers(text)["panels"]] == ["mase", "mae"]
    assert "MAE by data set and horizon" in text


def test_a_model_that_lacks_a_data_set_comes_after_those_that_have_all(small: Comparison) -> None:
    board = small.leaderboard
    best = models_of(small)[0]
    lacking = board[~(board["model"].eq(best) & board["data"].eq("sales"))]
    partial = replace(small, leaderboard=lacking)
    assert models_of(partial) == [*models_of(small)[1:], best]
    assert markdown_table(partial).splitlines()[-1].endswith("| \N{EN DASH} |")


def test_markdown_of_several_data_sets_is_as_worked_by_hand() -> None:
    assert markdown_table(_tiny()) == (
        "| model | a\\_b, 7 | c\\|d, 7 |\n"
        "| :--- | ---: | ---: |\n"
        "| \\*gru\\* | **0.50** | 2 |\n"
        "| &lt;b&gt;naive | 0.75 | **1** |\n"
    )
    assert "**10**" in markdown_table(_tiny(), "mae")


def test_latex_of_several_data_sets_is_as_worked_by_hand() -> None:
    assert latex_table(_tiny()).splitlines() == [
        r"% \usepackage{booktabs}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & \multicolumn{1}{c}{a\_b} & \multicolumn{1}{c}{c\textbar{}d} \\",
        r"\cmidrule(lr){2-2} \cmidrule(lr){3-3}",
        r"model & 7 & 7 \\",
        r"\midrule",
        r"*gru* & \textbf{0.50} & 2 \\",
        r"\textless{}b\textgreater{}naive & 0.75 & \textbf{1} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    single = latex_table(made(data=("50 % & $\\x",), horizons=(7,), series=2))
    assert r"skill, \%" in single and r"seasonal\_naive" in single and "$-$" in single


def test_a_metric_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no metric 'maze'. Choose one of: mae"):
        markdown_table(_tiny(), "maze")


def _tiny() -> Comparison:
    """Two models on two data sets, named so that every language needs to escape them."""
    whole = made(data=("a_b", "c|d"), horizons=(7,), models=("*gru*", "<b>naive"), series=2, failed=False)
    board = whole.leaderboard.sort_values(["data", "model"], ascending=[True, True], ignore_index=True)
    board = board.assign(rank=[1.0, 2.0, 1.0, 2.0]).sort_values(["data", "rank"], ignore_index=True)
    return replace(whole, leaderboard=board.assign(mase=[0.5, 0.75, 2.0, 1.0], mae=[10.0, 20.0, 30.0, 40.0]))


def test_groups_of_ranks_are_those_that_no_other_holds() -> None:
    assert bars([1.0, 2.0, 2.4, 4.0, 4.1], critical_difference=1.5) == [(0, 2), (3, 4)]
    assert bars([1.0, 2.0, 3.0], critical_difference=1.5) == [(0, 1), (1, 2)]
    assert bars([1.0, 2.0, 3.0], critical_difference=5) == [(0, 2)]
    assert bars([1.0, 3.0], critical_difference=1) == bars([1.0, 1.5], critical_difference=float("nan")) == []


def test_groups_that_are_named_are_taken_as_they_are(small: Comparison) -> None:
    named = small.ranks.assign(groups=["1", "1 2", "2", "2", "3", "3", "3", "4"] * 2)
    panel = _numbers(comparison_page(replace(small, ranks=named)))["panels"][0]
    assert panel["ranks"]["bars"] == [[0, 1], [1, 3], [4, 6]]
    assert bars_of_groups(["", "1", ""]) == []


def test_front_holds_what_no_model_beats_in_cost_and_error() -> None:
    costs, errors = [1, 2, 3, 2, np.nan, 1], [5, 3, 4, 3, 1, 6]
    assert pareto_front(costs, errors) == [True, True, False, True, False, False]


@pytest.mark.parametrize(
    ("best", "values", "marked"),
    [
        (0.0, [1.0, -0.5, np.nan], [False, True, False]),
        (0.8, [0.9, 0.78, 0.5], [False, True, False]),
        (float("inf"), [0.1, 0.3, 0.3], [False, True, True]),
        (None, [1.0, 2.0, 3.0], [False, False, False]),
        (0.0, [2.0, 2.0, 2.0], [False, False, False]),
        (0.0, [2.0, np.nan, np.nan], [False, False, False]),
    ],
)
def test_best_is_nearest_to_what_is_wanted(best: float | None, values: list[float], marked: list[bool]) -> None:
    assert best_of(Column("x", "x", "x", best=best), values) == marked


def test_growth_of_the_process_is_no_ranking() -> None:
    [memory] = [column for column in COSTS if column.name == "peak_memory_mb"]
    assert best_of(memory, [1.0, 300.0]) == [False, False] and "whoever runs first" in memory.meaning


def test_every_metric_of_a_comparison_has_a_meaning() -> None:
    assert set(METRIC) == set(METRICS)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to read the scripts with")
def test_scripts_are_whole(text: str) -> None:
    script = _Page(text).texts["script"][-1]
    done = subprocess.run(["node", "--check", "-"], input=script, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_asset_is_part_of_the_page(text: str) -> None:
    for asset in files("forecast.report.comparison").joinpath("assets").iterdir():
        content = asset.read_text("utf-8")
        assert asset.name.endswith(".j2") or content in text, asset.name
        assert max(map(len, content.splitlines())) < 250 and "\t" not in content


def test_frames_are_left_as_they_were() -> None:
    one = made(data=("electricity",), horizons=(7,), series=2)
    before = {name: frame.copy() for name, frame in vars(one).items() if isinstance(frame, pd.DataFrame)}
    comparison_page(one)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(one, name), frame)


def test_scaled_errors_say_what_they_are_scaled_by() -> None:
    assert "repeating the last season" in METRIC["mase"].meaning
    assert "repeating the last value" in METRIC["rmsse"].meaning  # as of `rmsse_scale`, whatever the season


def test_intervals_are_spoken_of_where_there_are_some(small: Comparison, text: str) -> None:
    assert "with 95&nbsp;% intervals. An interval that touches the line" in text
    without = comparison_page(replace(small, leaderboard=small.leaderboard.assign(skill_low=np.nan, skill_high=np.nan)))
    assert "too few for intervals" in without and "An interval that touches" not in without
