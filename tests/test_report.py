"""Figures of forecasts and folds show what the frames hold, and say what they leave out."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from forecast.data.columns import Columns
from forecast.report import style
from forecast.report.figures import folds_figure, forecast_figure

COLUMNS = Columns(id="shop", time="when", target="sold")
HORIZON, LENGTH, CONTEXT = 6, 60, 12
LEVELS = [0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9]
TARGETS = Columns(id="shop", time="when", target=("sold", "paid", "kept"), unit=("pieces", "", "kg"))


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


def _note(figure: Figure) -> str:
    [legend] = figure.legends
    return legend.get_title().get_text().replace("None", "")


def _titles(figure: Figure) -> list[str]:
    return [axis.get_title("left") for axis in figure.axes]


def _lines(figure: Figure, label: str, *, panel: int = 0) -> list[Line2D]:
    return [line for line in figure.axes[panel].lines if line.get_label() == label]


def _bands(figure: Figure) -> dict[str, list[PolyCollection]]:
    bands: dict[str, list[PolyCollection]] = {}
    for band in figure.axes[0].collections:
        if isinstance(band, PolyCollection):
            bands.setdefault(str(band.get_label()), []).append(band)
    return bands


def test_forecast_figure_names_everything_it_shows() -> None:
    figure = _draw("Oslo", "Rome", columns=replace(COLUMNS, unit="A$ and US$"), title="Sales, monthly")
    assert _titles(figure) == ["Oslo", "Rome"]
    assert figure.get_supylabel() == "A$ and US$"
    assert figure.get_suptitle() == "Sales, monthly"
    assert set(_legend(figure)) == {
        *("history", "held-back truth", "cutoff", "beyond the last observation"),
        *("gru", "80 % interval", "50 % interval", "seasonal_naive"),
    }


def test_first_four_series_are_drawn_unless_some_are_named() -> None:
    ids = ("a", "b", "c", "d", "e")
    assert (_titles(_draw(*ids)), _note(_draw(*ids))) == (["a", "b", "c", "d"], "drawn: 4 of 5 series")
    assert (_titles(_draw(*ids, series=["e", "b"])), _note(_draw(*ids, series=["e", "b"]))) == (["e", "b"], "")
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


def _by_target(frame: pd.DataFrame, *targets: str) -> pd.DataFrame:
    """The same rows for each target, one target after the other, each 1,000 above the last."""
    values = [name for name in frame if name == "forecast" or name == "y" or str(name).startswith("q")]
    parts = [frame.assign(target=name, **(frame[values] + 1_000 * i)) for i, name in enumerate(targets)]
    return pd.concat(parts, ignore_index=True)


def _wide_history(*ids: str) -> pd.DataFrame:
    history = _history(*ids)
    return history.assign(paid=history["sold"] + 1_000, kept=history["sold"] + 2_000)


def _draw_targets(*ids: str, targets: tuple[str, ...] = TARGETS.targets, **arguments: object) -> Figure:
    scored = _by_target(_scored(*ids), *targets)
    settings = {"columns": TARGETS, "model": "gru", "context": CONTEXT} | arguments
    return forecast_figure(_wide_history(*ids), scored, None, **settings)


def test_all_targets_of_the_first_series_come_first_each_with_its_unit() -> None:
    figure = _draw_targets("Oslo", "Rome")
    assert _titles(figure) == ["Oslo \u00b7 sold", "Oslo \u00b7 paid", "Oslo \u00b7 kept", "Rome \u00b7 sold"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["pieces", "paid", "kg", "pieces"]
    assert (figure.get_supylabel(), _note(figure)) == ("", "drawn: 4 of 6 pairs of series and target")
    for panel, more in enumerate((0, 1_000, 2_000)):
        [line] = _lines(figure, "gru", panel=panel)
        np.testing.assert_array_equal(line.get_ydata(), 100 + more + np.arange(HORIZON))
        [truth] = _lines(figure, "held-back truth", panel=panel)
        assert min(truth.get_ydata()) >= 100 + more


def test_one_series_is_titled_by_its_targets_and_named_series_show_all_of_theirs() -> None:
    assert _titles(_draw_targets("Oslo")) == ["sold", "paid", "kept"]
    figure = _draw_targets("Oslo", "Rome", series=["Rome"])
    assert _titles(figure) == ["Rome \u00b7 sold", "Rome \u00b7 paid", "Rome \u00b7 kept"]
    assert not _note(figure)


def test_a_target_without_forecasts_has_no_panel() -> None:
    assert _titles(_draw_targets("Oslo", targets=("sold", "kept"))) == ["sold", "kept"]
    with pytest.raises(ValueError, match="3 targets have a column 'target'"):
        forecast_figure(_wide_history("Oslo"), _scored("Oslo"), None, columns=TARGETS, model="gru", context=CONTEXT)


def _scenarios(*names: object) -> pd.DataFrame:
    parts = [_forecast("Oslo", start=LENGTH, shift=5.0 * i).assign(scenario=name) for i, name in enumerate(names)]
    return pd.concat(parts, ignore_index=True)


def test_each_scenario_has_its_colour_and_its_interval() -> None:
    future = _scenarios("price up", "as it is", 7)
    figure = forecast_figure(_history("Oslo"), None, future, columns=COLUMNS, model="gru", context=CONTEXT)
    names = ["price up", "as it is", "7"]
    assert set(_legend(figure)) == {"history", "beyond the last observation", "80 % interval", *names}
    lines = [line for line in figure.axes[0].lines if line.get_label() in names]
    assert [line.get_label() for line in lines] == names
    assert len({line.get_color() for line in lines}) == 3
    for line, shift in zip(lines, (0.0, 5.0, 10.0), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), 100 + shift + np.arange(HORIZON))
    assert {label: len(found) for label, found in _bands(figure).items()} == {"80 % interval": 3}


def test_more_than_five_scenarios_are_counted() -> None:
    figure = _draw("Oslo", future=False)
    held = {line.get_color() for name in ("gru", "seasonal_naive") for line in _lines(figure, name)}
    future = _scenarios(*"abcdefg")
    figure = forecast_figure(_history("Oslo"), _scored("Oslo"), future, columns=COLUMNS, model="gru", context=CONTEXT)
    assert _note(figure) == "drawn: 5 of 7 scenarios"
    drawn = {line.get_color() for name in "abcdefg" for line in _lines(figure, name)}
    assert len(drawn) == 5 and not drawn & held


def test_scenarios_that_are_not_told_apart_are_refused() -> None:
    future = _scenarios("a", "b").drop(columns="scenario")
    with pytest.raises(ValueError, match="two forecasts for 2025-01-01.*column 'scenario'"):
        forecast_figure(_history("Oslo"), None, future, columns=COLUMNS, model="gru", context=CONTEXT)


def _folds(*starts: int, columns: Columns = COLUMNS, **arguments: object) -> Figure:
    settings = {"columns": columns, "model": "gru", "context": CONTEXT} | arguments
    return folds_figure(_history("Oslo", "Rome"), _scored("Oslo", "Rome", starts=starts), **settings)


def _fold_cutoffs(figure: Figure) -> list[int]:
    """How many observations came before each cutoff that is drawn."""
    times = dates.date2num(_times(start=0, count=LENGTH).to_pydatetime())
    return [int(np.searchsorted(times, line.get_xdata()[0])) + 1 for line in _lines(figure, "cutoff")]


def test_folds_have_two_tints_by_turns_and_begin_at_their_cutoffs() -> None:
    starts = (LENGTH - 3 * HORIZON, LENGTH - 2 * HORIZON, LENGTH - HORIZON)
    figure = _folds(*starts, title="Five years")
    assert (_titles(figure), figure.get_suptitle(), _note(figure)) == (["Oslo", "Rome"], "Five years", "")
    assert _fold_cutoffs(figure) == list(starts)
    colours = [line.get_color() for line in _lines(figure, "gru")]
    assert colours == [style.TINTS[0], style.TINTS[1], style.TINTS[0]]
    assert {label: len(found) for label, found in _bands(figure).items()} == {"80 % interval": 3}
    [history] = _lines(figure, "history")
    assert len(history.get_xdata()) == CONTEXT
    assert set(_legend(figure)) == {"history", "held-back truth", "cutoff", "gru", "80 % interval"}


def test_a_fold_that_is_drawn_overlaps_its_neighbours_at_most() -> None:
    starts = tuple(range(LENGTH - HORIZON - 19, LENGTH - HORIZON + 1))
    figure = _folds(*starts, baselines=("naive",))
    assert _note(figure) == "drawn: 7 of 20 folds, one in 3"
    assert _fold_cutoffs(figure) == list(starts[1::3])
    # Baselines have one colour: those of neighbours would run into each other.
    assert len(_lines(figure, "naive")) == 4


def test_of_many_folds_the_newest_are_drawn() -> None:
    scored = _scored("Oslo", starts=tuple(range(LENGTH - 16, LENGTH))).groupby(["cutoff", "model"]).head(1)
    figure = folds_figure(_history("Oslo"), scored, columns=COLUMNS, model="gru", context=CONTEXT)
    assert _note(figure) == "drawn: the newest 12 of 16 folds"
    assert _fold_cutoffs(figure) == list(range(LENGTH - 12, LENGTH))


def test_folds_of_a_model_or_series_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="no model 'gur'"):
        _folds(LENGTH - HORIZON, model="gur")
    with pytest.raises(ValueError, match="no series 'Bonn'"):
        _folds(LENGTH - HORIZON, series=["Bonn"])


def test_folds_without_quantiles_are_lines_alone() -> None:
    scored = _scored("Oslo")
    scored = scored[[name for name in scored if not str(name).startswith("q")]]
    figure = folds_figure(_history("Oslo"), scored, columns=COLUMNS, model="gru", context=CONTEXT)
    assert not _bands(figure) and "80 % interval" not in _legend(figure)


def test_a_long_title_stays_within_the_figure() -> None:
    figure = _draw("Oslo", title="temperature, " * 40)
    figure.draw_without_rendering()
    assert figure._suptitle.get_window_extent().width <= figure.bbox.width


def test_a_legend_of_long_names_stays_within_the_figure() -> None:
    names = [f"the price goes up by {i} % and all other things stay as they are now" for i in range(5)]
    future = _scenarios(*names)
    figure = forecast_figure(_history("Oslo"), None, future, columns=COLUMNS, model="gru", context=CONTEXT)
    [legend] = figure.legends
    assert legend.get_window_extent().width <= figure.bbox.width
    assert all(len(text) <= 48 for text in _legend(figure))


def test_models_get_colours_of_their_own_and_baselines_keep_theirs() -> None:
    palette = style.colours(["seasonal_naive", "gru", "lstm", "bigru", "naive"])
    assert palette["gru"] == style.MODEL
    assert palette["seasonal_naive"] == style.BASELINES["seasonal_naive"]
    assert len(set(palette.values())) == 5
