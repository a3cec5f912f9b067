"""What known covariates are worth: made data where they alone explain, and orange-juice sales with price and promotion.

    FORECAST_DATASETS=FOLDER python benchmarks/covariates.py [--seeds 3] [--figure docs/covariates.png]

The last horizon of each series is held back. On made data an event that nothing announces lifts the series by half
their level. The sales are weekly units of eleven brands in 83 stores; price, deal and feature are known ahead, since
the store sets them. Printed: MASE of a GRU with and without, mean over seeds, beside naive, under the default scaling
and after a logarithm. The figure shows two series, after the logarithm.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from forecast import Columns, Forecaster, backtest
from forecast.report import style

HORIZON = 8
KNOWN = ("price", "deal", "feature")
DRAWN = 40  # weeks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    show("made events", made(), ("event",), arguments.seeds)
    folder = os.environ.get("FORECAST_DATASETS")
    if folder:
        frame = pd.read_parquet(Path(folder) / "oj_sales.parquet")
        forecasts = show("orange-juice sales", frame, KNOWN, arguments.seeds)
        if arguments.figure:
            draw(frame, forecasts, arguments.figure)


def show(title: str, frame: pd.DataFrame, known: tuple[str, ...], seeds: int) -> dict[str, pd.DataFrame]:
    """Print the scores with and without known covariates; return the forecasts of the first seed."""
    rows, forecasts = {}, {}
    for scaling, told in itertools.product(("last", "log"), (False, True)):
        label = f"{'with' if told else 'without'} {', '.join(known)}, scaling={scaling}"
        scores = []
        for seed in range(seeds):
            forecaster = Forecaster(
                "gru",
                horizon=HORIZON,
                columns=Columns(known=known if told else ()),
                scaling=scaling,
                seed=seed,
                progress=False,
            )
            result = backtest(forecaster, frame, folds=1, split="series_end", baselines=["naive"], name="gru")
            scores.append(result.scores.set_index("model")[["mase", "mae"]])
            if scaling == "log":
                drawn = "with price, deal, feature" if told else "without"
                forecasts.setdefault(drawn, result.forecasts[result.forecasts["model"] == "gru"])
        each = [table.loc["gru", "mase"] for table in scores]
        rows[label] = {"MASE": np.mean(each), "lowest": min(each), "highest": max(each)}
        rows[label]["MAE"] = np.mean([table.loc["gru", "mae"] for table in scores])
        rows["naive"] = {"MASE": scores[0].loc["naive", "mase"], "MAE": scores[0].loc["naive", "mae"]}
    print(f"{title}\n{pd.DataFrame(rows).T.round(3).to_string()}\n", flush=True)
    return forecasts


def made() -> pd.DataFrame:
    """Return twenty series that an event lifts by half, on three days of ten, at random."""
    random = np.random.default_rng(0)
    series, days = 20, 200
    event = random.random((series, days)) < 0.3
    level = 10.0 * (1 + np.arange(series))[:, None]
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"made {number}" for number in range(series)], days),
            "ds": np.tile(np.arange(days), series),
            "y": (level * (1 + 0.5 * event + random.normal(0, 0.02, event.shape))).ravel(),
            "event": event.ravel().astype(float),
        }
    )


def draw(frame: pd.DataFrame, forecasts: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw the two series whose deals in the horizon change most, with both forecasts."""
    truth = next(iter(forecasts.values()))
    ahead = truth[["unique_id", "ds"]].merge(frame, on=["unique_id", "ds"])
    sold = frame.groupby("unique_id")["y"].mean()
    changes = ahead.groupby("unique_id")["deal"].apply(lambda deal: deal.diff().abs().sum())
    best = changes[sold.rank(pct=True) > 0.5].sort_values(ascending=False, kind="stable").index[:2]
    colours = dict(zip(forecasts, ("#E69F00", style.MODEL), strict=True))
    with mpl.rc_context(style.STYLE):
        figure = style.blank(height=5.6)
        axes = figure.subplots(2, 1, sharex=False)
        for axis, name in zip(axes, best, strict=True):
            style.tidy(axis)
            own = frame[frame["unique_id"] == name].set_index("ds").iloc[-DRAWN:]
            for week in own.index[own["deal"] == 1]:
                axis.axvspan(week - 0.5, week + 0.5, color=style.AHEAD, linewidth=0, label="deal", zorder=0)
            axis.plot(own.index, own["y"], color=style.TRUTH, linewidth=1.2, label="sold", zorder=3)
            for label, table in forecasts.items():
                line = table[table["unique_id"] == name].set_index("ds")["forecast"]
                axis.plot(line.index, line, color=colours[label], linewidth=2, label=label, zorder=4)
            axis.axvline(own.index[-HORIZON] - 0.5, color=style.QUIET, linewidth=0.9, linestyle=":", zorder=1)
            store, brand = own["store"].iloc[-1], own["brand_name"].iloc[-1]
            axis.set_title(f"{brand}, store {store}")
            axis.set_ylabel("units a week")
            style.mark_whole(axis)
        axes[-1].set_xlabel("week")
        handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        figure.savefig(path, dpi=style.DPI, metadata={"Software": None})


if __name__ == "__main__":
    main()
