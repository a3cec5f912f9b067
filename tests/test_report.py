"""Figures show what the frames hold, and a report is one whole file that shows user text as text."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from forecast.data.columns import Columns
from forecast.report import style
from forecast.report.figures import error_figure, forecast_figure, save, training_figure
from forecast.report.page import write_page

COLUMNS = Columns(id="shop", time="when", target="sold")
HORIZON, LENGTH, CONTEXT = 6, 60, 12
LEVELS = [0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9]
PNG = b"\x89PNG\r\n\x1a\n"


def _times(*, start: int, count: int, kind: str = "dates") -> pd.Index:
    if kind == "whole":
        return pd.RangeIndex(start, start + count)
    zone = "America/New_York" if kind == "zoned" else None
    return pd.date_range("2020-01-01", periods=start + count, freq="MS", tz=zone)[start:]


def _history(*ids: str, kind: str = "dates") -> pd.DataFrame:
    times = _times(start=0, count=LENGTH, kind=kind)
    return pd.concat(
        [
            pd.DataFrame({"shop": name, "when": times, "sold": 100.0 * (i + 1) + np.arange(LENGTH) % 12})
            for i, name in enumerate(ids)
        ],
        ignore_index=True,
    )


def _forecast(name: str, *, start: int, kind: str = "dates", shift: float = 0.0) -> pd.DataFrame:
    point = 100.0 + shift + np.arange(HORIZON)
    frame = pd.DataFrame({"shop": name, "when": _times(start=start, count=HORIZON, kind=kind), "forecast": point})
    return frame.assign(**{f"q{level:g}": point + 20 * (level - 0.5) for level in LEVELS})


def _scored(*ids: str, starts: tuple[int, ...] = (LENGTH - HORIZON,), kind: str = "dates") -> pd.DataFrame:
    parts = []
    for name in ids:
        for start in starts:
            for model, shift in (("gru", 0.0), ("seasonal_naive", 5.0), ("naive", 9.0)):
                cutoff = _times(start=start - 1, count=1, kind=kind)[0]
                part = _forecast(name, start=start, kind=kind, shift=shift)
                parts.append(part.assign(cutoff=cutoff, model=model, y=np.arange(HORIZON) + 101.0))
    return pd.concat(parts, ignore_index=True)


def _draw(*ids: str, kind: str = "dates", future: bool = True, **arguments: object) -> Figure:
    ahead = pd.concat([_forecast(name, start=LENGTH, kind=kind) for name in ids]) if future else None
    settings = {"columns": COLUMNS, "model": "gru", "context": CONTEXT} | arguments
    return forecast_figure(_history(*ids, kind=kind), _scored(*ids, kind=kind), ahead, **settings)


def _legend(figure: Figure) -> list[str]:
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def _bands(figure: Figure) -> dict[str, list[PolyCollection]]:
    bands: dict[str, list[PolyCollection]] = {}
    for band in figure.axes[0].collections:
        if isinstance(band, PolyCollection):
            bands.setdefault(str(band.get_label()), []).append(band)
    return bands


def test_forecast_figure_names_everything_it_shows() -> None:
    figure = _draw("Oslo", "Rome", unit="A$ and US$", title="Sales, monthly")
    assert [axis.get_title("left") for axis in figure.axes] == ["Oslo", "Rome"]
    assert figure.get_supylabel() == "A$ and US$"
    assert figure.get_suptitle() == "Sales, monthly"
    assert set(_legend(figure)) == {
        *("history", "held-back truth", "cutoff", "beyond the last observation"),
        *("gru", "80 % interval", "50 % interval", "seasonal_naive"),
    }


def test_first_four_series_are_drawn_unless_some_are_named() -> None:
    ids = ("a", "b", "c", "d", "e")
    assert [axis.get_title("left") for axis in _draw(*ids).axes] == ["a", "b", "c", "d"]
    assert [axis.get_title("left") for axis in _draw(*ids, series=["e", "b"]).axes] == ["e", "b"]
    with pytest.raises(ValueError, match="1 to 4 series, got 5"):
        _draw(*ids, series=ids)
    with pytest.raises(ValueError, match="no series 'f'"):
        _draw(*ids, series=["f"])
    with pytest.raises(ValueError, match=r"no model 'gur'. Choose one of: gru"):
        _draw(*ids, model="gur")


@pytest.mark.parametrize("kind", ["dates", "zoned", "whole"])
def test_bands_lie_where_the_quantiles_are(kind: str) -> None:
    bands = _bands(_draw("Oslo", kind=kind))
    assert {label: len(found) for label, found in bands.items()} == {"80 % interval": 2, "50 % interval": 2}
    for start, outer, inner in zip((LENGTH - HORIZON, LENGTH), *bands.values(), strict=True):
        times = _times(start=start, count=HORIZON, kind=kind)
        places = np.asarray(times if kind == "whole" else dates.date2num(times.to_pydatetime()), dtype=float)
        for band, low, high in ((outer, 0.1, 0.9), (inner, 0.25, 0.75)):
            [shape] = band.get_paths()
            rows = _forecast("Oslo", start=start)
            expected = {
                (round(place, 6), round(value, 6))
                for level in (low, high)
                for place, value in zip(places, rows[f"q{level:g}"], strict=True)
            }
            assert expected == {(round(x, 6), round(y, 6)) for x, y in shape.vertices}


def test_inner_band_without_quartiles_is_named_by_what_it_covers() -> None:
    scored = _scored("Oslo").drop(columns=["q0.25", "q0.75"])
    figure = forecast_figure(_history("Oslo"), scored, None, columns=COLUMNS, model="gru", context=CONTEXT)
    assert set(_bands(figure)) == {"80 % interval", "40 % interval"}
    figure = forecast_figure(
        _history("Oslo"),
        scored[[c for c in scored if c[0] != "q"]],
        None,
        columns=COLUMNS,
        model="gru",
        context=1,
    )
    assert not _bands(figure)


def test_lines_show_truth_model_and_chosen_baselines_in_their_colours() -> None:
    figure = _draw("Oslo", future=False, baselines=("naive", "seasonal_naive", "drift"))
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    assert lines["gru"].get_color() == style.MODEL
    assert lines["held-back truth"].get_color() == style.TRUTH
    for name, shift in (("naive", 9.0), ("seasonal_naive", 5.0)):
        assert lines[name].get_color() == style.BASELINES[name]
        assert lines[name].get_linewidth() < lines["gru"].get_linewidth()
        np.testing.assert_array_equal(lines[name].get_ydata(), 100 + shift + np.arange(HORIZON))
    assert "drift" not in lines
    cutoff = dates.date2num(_times(start=LENGTH - HORIZON - 1, count=1)[0].to_pydatetime())
    assert lines["cutoff"].get_xdata()[0] == lines["history"].get_xdata()[-1] == pytest.approx(cutoff)
    assert "beyond the last observation" not in _legend(figure)


def test_truth_comes_from_the_scored_frame_where_the_history_ends_at_the_cutoff() -> None:
    history = _history("Oslo").iloc[:-HORIZON]
    figure = forecast_figure(history, _scored("Oslo"), None, columns=COLUMNS, model="gru", context=CONTEXT)
    [truth] = [line for line in figure.axes[0].lines if line.get_label() == "held-back truth"]
    np.testing.assert_array_equal(truth.get_ydata()[1:], np.arange(HORIZON) + 101.0)


def test_only_cutoffs_that_do_not_overlap_are_drawn() -> None:
    starts = tuple(range(LENGTH - 3 * HORIZON, LENGTH - HORIZON + 1, 2))
    scored = _scored("Oslo", starts=starts)
    figure = forecast_figure(_history("Oslo"), scored, None, columns=COLUMNS, model="gru", context=CONTEXT)
    drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_label() == "cutoff"]
    expected = [_times(start=start - 1, count=1)[0].to_pydatetime() for start in (starts[-1], *starts[3::-3])]
    np.testing.assert_allclose(drawn, dates.date2num(expected))


def test_panel_shows_four_horizons_and_the_context() -> None:
    figure = _draw("Oslo", future=False, kind="whole")
    left, right = figure.axes[0].get_xlim()
    assert (round(left), round(right)) == (LENGTH - 4 * HORIZON - CONTEXT, LENGTH - 1)
    assert figure.axes[0].get_xlabel() == "when"


def test_gaps_in_the_history_are_left_open() -> None:
    history = _history("Oslo")
    history.loc[50, "sold"] = np.nan
    figure = forecast_figure(
        history, None, _forecast("Oslo", start=LENGTH), columns=COLUMNS, model="gru", context=CONTEXT
    )
    [line] = [line for line in figure.axes[0].lines if line.get_label() == "history"]
    assert np.isnan(line.get_ydata()).sum() == 1
    assert "held-back truth" not in _legend(figure)


def test_two_forecasts_for_one_time_are_refused() -> None:
    twice = pd.concat([_forecast("Oslo", start=LENGTH), _forecast("Oslo", start=LENGTH)])
    with pytest.raises(ValueError, match="series 'Oslo' has two forecasts for 2025-01-01"):
        forecast_figure(_history("Oslo"), None, twice, columns=COLUMNS, model="gru", context=CONTEXT)


def test_one_step_horizon_is_drawn_as_dots_with_bars() -> None:
    scored = _scored("Oslo").groupby("model").head(1)
    figure = forecast_figure(_history("Oslo"), scored, None, columns=COLUMNS, model="gru", context=CONTEXT)
    bars = {str(bar.get_label()): bar.get_segments()[0] for bar in figure.axes[0].collections}
    np.testing.assert_allclose(bars["80 % interval"][:, 1], [92.0, 108.0])
    [dot] = [line for line in figure.axes[0].lines if line.get_label() == "gru"]
    assert (dot.get_marker(), len(dot.get_xdata())) == ("o", 1)


def test_dates_are_written_in_the_zone_of_the_data() -> None:
    formatter = _draw("Oslo", kind="zoned").axes[0].xaxis.get_major_formatter()
    assert isinstance(formatter, dates.ConciseDateFormatter)
    assert str(formatter._tz) == "America/New_York"


def test_figures_leave_global_settings_alone() -> None:
    before = dict(mpl.rcParams)
    _draw("Oslo")
    assert dict(mpl.rcParams) == before


def test_training_figure_has_losses_on_a_log_axis_and_the_learning_rate_below() -> None:
    steps = np.arange(1, 201)
    history = pd.DataFrame({"step": steps, "train_loss": 1 / steps, "learning_rate": 1e-3})
    history["valid_loss"] = np.where(steps % 50 == 0, np.abs(steps - 150) + 0.5, np.nan)
    loss, rate = training_figure(history, unit="scaled").axes
    assert (loss.get_yscale(), loss.get_ylabel()) == ("log", "loss (scaled)")
    assert (rate.get_ylabel(), rate.get_xlabel()) == ("learning rate", "training step")
    [_, valid] = [text.get_text() for text in loss.get_legend().get_texts()]
    assert valid == "validation, lowest 0.5 at step 150"
    [faint, bold, checks] = loss.lines
    assert faint.get_alpha() < 0.5 and faint.get_linewidth() < bold.get_linewidth()
    assert list(checks.get_xdata()) == [50, 100, 150, 200]


def test_training_figure_without_rate_or_with_negative_loss() -> None:
    history = pd.DataFrame({"step": [1, 2, 3], "train_loss": [1.0, 0.0, -1.0]})
    [loss] = training_figure(history).axes
    assert (loss.get_yscale(), loss.get_xlabel()) == ("linear", "training step")


def _errors(ends: dict[str, float], *, horizon: int = HORIZON) -> pd.DataFrame:
    return pd.concat(
        pd.DataFrame({"model": m, "step": np.arange(1, horizon + 1), "mae": np.linspace(1, end, horizon)})
        for m, end in ends.items()
    )


def test_labels_at_line_ends_never_overlap() -> None:
    ends = {"gru": 5.0, "lstm": 5.001, "naive": 5.002, "drift": 1.0, "naive2": 1.001, "ridge": 5.003}
    figure = error_figure(_errors(ends), unit="US$")
    labels = sorted(figure.axes[0].texts, key=lambda text: text.get_position()[1])
    assert [text.get_text() for text in labels] == sorted(ends, key=lambda name: ends[name])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in labels]  # without the line that leads to it
    assert all(lower.y1 <= upper.y0 for lower, upper in zip(boxes, boxes[1:], strict=False))
    assert boxes[0].y0 >= 0 and boxes[-1].y1 <= figure.bbox.height and boxes[0].x1 <= figure.bbox.width


def test_error_figure_counts_steps_in_whole_numbers_and_thins_baselines() -> None:
    [axis] = error_figure(_errors({"gru": 5.0, "seasonal_naive": 6.0}), unit="US$").axes
    assert axis.get_ylabel() == "mean absolute error (US$)"
    assert all(tick == int(tick) for tick in axis.get_xticks())
    model, baseline = axis.lines
    assert model.get_linewidth() > baseline.get_linewidth()
    assert baseline.get_color() == style.BASELINES["seasonal_naive"]
    with pytest.raises(ValueError, match="nothing to draw"):
        error_figure(_errors({"gru": np.nan}).iloc[1:])


def test_models_get_colours_of_their_own_and_baselines_keep_theirs() -> None:
    palette = style.colours(["seasonal_naive", "gru", "lstm", "bigru", "naive"])
    assert palette["gru"] == style.MODEL
    assert palette["seasonal_naive"] == style.BASELINES["seasonal_naive"]
    assert len(set(palette.values())) == 5


def test_saved_figure_is_a_png_of_the_common_width(tmp_path: Path) -> None:
    path = save(_draw("Oslo"), tmp_path / "figures" / "forecast.png")
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert int.from_bytes(content[16:20], "big") == 1350
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_when_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.html").write_text("old")

    def refuse(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save(_draw("Oslo"), tmp_path / "forecast.png")
    with pytest.raises(OSError, match="disk full"):
        _page(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def _page(folder: Path, **arguments: object) -> str:
    parts: dict[str, object] = {"title": "t", "sentence": "s", "tables": {}, "figures": {}, "facts": {}}
    return write_page(folder / "report.html", **(parts | arguments)).read_text("utf-8")


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_user_text_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"><b onload=1>"
    table = pd.DataFrame({evil: [evil], "mae": [1.0]}, index=pd.Index([evil], name=f"{evil}2"))
    page = _page(tmp_path, title=evil, sentence=evil, tables={evil: table}, figures={evil: PNG}, facts={evil: evil})
    assert "<script" not in page and "<b onload" not in page
    # title twice, sentence, caption, two headers, two cells, figure's heading and alt, fact and its name
    assert page.count("&lt;script&gt;") == 12
    assert {tag for tag, _ in _Tags(page).tags} & {"script", "b", "link", "iframe"} == set()


def test_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    path = save(error_figure(_errors({"gru": 2.0})), tmp_path / "error.png")
    page = _page(tmp_path, figures={"Error": path, "Again": path.read_bytes()})
    sources = [attributes["src"] for tag, attributes in _Tags(page).tags if tag == "img"]
    assert len(sources) == 2 and sources[0] == sources[1]
    assert str(sources[0]).startswith("data:image/png;base64,iVBORw0KGgo")
    assert not re.search(r"https?://|<script|<link|@import", page)
    assert "prefers-color-scheme: dark" in page
    with pytest.raises(ValueError, match="'Error' is no PNG"):
        _page(tmp_path, figures={"Error": b"GIF89a"})


def test_tables_align_numbers_and_set_the_best_in_bold(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "model": ["gru", "naive", "drift"],
            "mae": [12.34567, 15.2, 123.4],
            "mase": [0.91234, 0.8, np.nan],
            "windows": [1200, 1200, 7],
            "coverage": [0.7, 0.8, 0.9],
        }
    )
    page = _page(tmp_path, tables={"Accuracy": table})
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>")[2:]]
    assert rows == [
        ["gru", "<strong>12.3</strong>", "0.9123", "1,200", "0.7"],
        ["naive", "15.2", "<strong>0.8000</strong>", "1,200", "0.8"],
        ["drift", "123.4", "\N{EN DASH}", "7", "0.9"],
    ]
    assert page.count('<th scope="col" class="number">') == 4
    assert page.count('<td class="number">') == 12


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.00312, 1500.34, 1.2], ["0.00312", "1,500", "1.2"]),
        ([-1.5, 2.25], ["\N{MINUS SIGN}1.50", "2.25"]),
        ([np.inf, 0.0, 1e-9], ["\N{INFINITY}", "0", "1.000e\N{MINUS SIGN}09"]),
        ([True, False], ["yes", "no"]),
        ([pd.Timestamp("2024-03-01"), pd.NaT], ["2024-03-01", "\N{EN DASH}"]),
    ],
)
def test_numbers_read_well(tmp_path: Path, values: list[object], texts: list[str]) -> None:
    page = _page(tmp_path, tables={"Values": pd.DataFrame({"value": values})})
    assert re.findall(r"<td[^>]*>(.*?)</td>", page) == texts
