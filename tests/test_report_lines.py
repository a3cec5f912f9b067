"""Figures of training and of errors show one line for each model or member, named where there is room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from forecast.report import style
from forecast.report.figures import error_figure, fold_error_figure, save, training_figure

HORIZON = 6
PNG = b"\x89PNG\r\n\x1a\n"


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


def _members(count: int, *, rates: list[float] | None = None) -> pd.DataFrame:
    steps = np.arange(1, 101)
    parts = [
        pd.DataFrame(
            {
                "member": f"gru {i}",
                "step": steps,
                "train_loss": (i + 1) / steps,
                "valid_loss": np.where(steps % 50 == 0, i + 2.0, np.nan),
                "learning_rate": 1e-3 if rates is None else rates[i],
            }
        )
        for i in range(count)
    ]
    return pd.concat(parts, ignore_index=True)


def test_each_member_has_its_loss_and_one_entry_in_the_legend() -> None:
    loss, rate = training_figure(_members(3)).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["gru 0", "gru 1", "gru 2", "validation"]
    train, valid = loss.lines[:3], loss.lines[3:]
    assert len({line.get_color() for line in train}) == 3
    assert [line.get_color() for line in valid] == [line.get_color() for line in train]
    assert [line.get_ydata()[0] for line in valid] == [2.0, 3.0, 4.0]
    assert len(rate.lines) == 1  # the same for all
    _, rate = training_figure(_members(2, rates=[1e-3, 1e-2])).axes
    assert [line.get_ydata()[0] for line in rate.lines] == [1e-3, 1e-2]


def test_losses_of_different_kinds_have_an_axis_each() -> None:
    history = _members(3)
    kinds = history["member"].map({"gru 0": "quantile", "gru 1": "quantile", "gru 2": "student_t"})
    first, second, rate = training_figure(history.assign(loss=kinds)).axes
    assert [axis.get_ylabel() for axis in (first, second, rate)] == [
        "loss (quantile)", "loss (student_t)", "learning rate",
    ]  # fmt: skip
    named = [line.get_label() for line in second.get_lines()]
    assert "gru 2" in named and not {"gru 0", "gru 1"} & set(named)


def test_members_that_are_numbered_are_called_members() -> None:
    history = _members(2)
    loss, _ = training_figure(history.assign(member=history["member"].str[-1].astype(int))).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["member 0", "member 1", "validation"]


def test_more_than_six_members_are_counted() -> None:
    loss, _ = training_figure(_members(8)).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["8 members", "validation"]
    assert len(loss.lines) == 16


def test_a_member_that_does_not_train_is_left_out() -> None:
    history = _members(2)
    history.loc[history["member"] == "gru 1", ["train_loss", "valid_loss", "learning_rate"]] = np.nan
    loss, _ = training_figure(history).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["gru 0", "validation"]


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


def test_error_figure_draws_another_metric_under_its_name() -> None:
    errors = _errors({"gru": 5.0}).rename(columns={"mae": "mase"})
    [axis] = error_figure(errors, metric="mase").axes
    assert axis.get_ylabel() == "MASE"
    with pytest.raises(ValueError, match="no number in 'mae'"):
        error_figure(errors)


def _per_fold(count: int, *, freq: str = "MS") -> pd.DataFrame:
    cutoffs = pd.date_range("2024-01-01", periods=count, freq=freq)
    parts = [
        pd.DataFrame(
            {"model": name, "fold": np.arange(1, count + 1), "cutoff": cutoffs, "mase": np.arange(count) + shift}
        )
        for name, shift in (("gru", 1.0), ("seasonal_naive", 2.0))
    ]
    return pd.concat(parts, ignore_index=True)


def _ticks(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.axes[0].get_xticklabels()]


def test_folds_are_named_by_their_cutoffs() -> None:
    figure = fold_error_figure(_per_fold(3))
    assert _ticks(figure) == ["2024-03-01", "2024-02-01", "2024-01-01"]
    [axis] = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("cutoff of the fold", "MASE")
    model, baseline = axis.lines
    assert (list(model.get_xdata()), list(model.get_ydata())) == ([1, 2, 3], [1.0, 2.0, 3.0])
    assert model.get_linewidth() > baseline.get_linewidth()
    assert [text.get_text() for text in axis.texts] == ["gru", "seasonal_naive"]
    assert _ticks(fold_error_figure(_per_fold(2, freq="6h"))) == ["2024-01-01\n06:00", "2024-01-01\n00:00"]


def test_folds_without_one_cutoff_are_numbered() -> None:
    for per_fold in (_per_fold(4).drop(columns="cutoff"), _per_fold(4).assign(cutoff=pd.NaT)):
        figure = fold_error_figure(per_fold)
        assert figure.axes[0].get_xlabel() == "fold"
        assert {"1", "2", "3", "4"} <= set(_ticks(figure))
    whole = _per_fold(3)
    assert _ticks(fold_error_figure(whole.assign(cutoff=1_000 * whole["fold"]))) == ["3,000", "2,000", "1,000"]


def test_names_of_many_folds_do_not_overlap() -> None:
    figure = fold_error_figure(_per_fold(40))
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].get_xticklabels()), key=lambda box: box.x0)
    assert len(boxes) > 2
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


def test_fold_error_figure_without_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="by fold hold no number in 'mae'"):
        fold_error_figure(_per_fold(3), metric="mae")


def test_saved_figure_is_a_png_of_the_common_width(tmp_path: Path) -> None:
    path = save(error_figure(_errors({"gru": 2.0})), tmp_path / "figures" / "error.png")
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert int.from_bytes(content[16:20], "big") == 1350
    assert list(path.parent.iterdir()) == [path]
