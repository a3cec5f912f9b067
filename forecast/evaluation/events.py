"""What probabilities of events are worth: the tables of a backtest.

All steps of all windows of all series count alike: an event that is rare in each series is judged over all of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.evaluation.bootstrap import auc_interval, clusters, mean_interval, skill_interval
from forecast.evaluation.tables import Backtest, checked_rows
from forecast.frames import FORECAST, TARGET

EVENT_METRICS = ("log_loss", "brier", "auc", "accuracy", "calibration")
TINY = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss, so that a certainty that fails is finite
BINS = 10  # of equal width, over which calibration is judged
LEAST = 100  # forecasts for each bin, or what is chance would look like bad calibration


def tabulated_events(forecasts: pd.DataFrame, *, columns: Columns, event: str) -> Backtest:
    """Score probabilities of an event by model, series, fold, step and target, over the steps where it is known.

    Log loss and Brier score are means; `auc` is the area under the ROC curve, NaN where all steps are alike; `accuracy`
    the share of steps on which the probability lies on the right side of a half; `calibration` the mean distance of
    forecasts from the share of events, over up to ten bins of equal width from the lowest to the highest.

    Parameters
    ----------
    forecasts : DataFrame
        As in `Backtest`, y being 1 where the event occurred, 0 where not, NaN where that is not known.
    columns : Columns
        Names the id and the time.
    event : str
        What a target does where it occurs, in words.

    Returns
    -------
    Backtest with `intervals` of the first model's scores, and of its skill beside the best of the others.

    Raises
    ------
    ValueError
        If the models were not scored on the same rows, or a forecast is absent.
    """
    names = [columns.id, TARGET] if TARGET in forecasts else [columns.id]
    series = forecasts.groupby(names, sort=False, observed=True).ngroup().to_numpy()
    pairs = forecasts[names].iloc[np.unique(series, return_index=True)[1]].reset_index(drop=True)
    model, models = pd.factorize(forecasts["model"])
    rows = checked_rows(forecasts, columns.time, model=model, pair=series)

    def scored(*by: str) -> pd.DataFrame:
        table = event_scores(rows, ["model", *by])
        return table.assign(model=models[table["model"]])

    per_fold, per_series = scored("fold"), scored("pair")
    cutoffs = forecasts.groupby("fold")["cutoff"].max()
    per_fold.insert(2, "cutoff", cutoffs.loc[per_fold["fold"]].array)
    about = pairs.iloc[per_series["pair"]].reset_index(drop=True)
    per_series = pd.concat([per_series[["model"]], about, per_series.drop(columns=["model", "pair", "series"])], axis=1)
    scores, per_target = scored(), None
    if TARGET in names:
        rows[TARGET] = pairs[TARGET].to_numpy()[rows["pair"]]
        per_target = scored(TARGET)
    return Backtest(
        forecasts=forecasts,
        scores=scores,
        per_fold=per_fold,
        per_step=scored("step"),
        per_series=per_series,
        per_target=per_target,
        event=event,
        intervals=_intervals(rows, scores),
    )


def event_scores(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the metrics of each group of rows, `y` and `forecast`, in order of appearance; see `tabulated_events`.

    Beside them `series`, `steps` and `events` count what is known.
    """
    y = rows["y"].to_numpy()
    known = ~np.isnan(y)
    forecast = np.where(known, rows[FORECAST], np.nan)
    certain = np.clip(forecast, TINY, 1 - TINY)
    each = rows[by].assign(
        y=y,
        forecast=forecast,
        log_loss=-(y * np.log(certain) + (1 - y) * np.log1p(-certain)),
        brier=(forecast - y) ** 2,
        accuracy=np.where(known, (forecast > 0.5) == (y > 0.5), np.nan),
        series=np.where(known, rows["pair"], np.nan),
    )
    groups = each.groupby(by, sort=False, observed=True)
    counts = groups.agg(series=("series", "nunique"), steps=("y", "count"), events=("y", "sum"))
    ranks = groups["forecast"].rank()
    of_events = ranks.where(y == 1).groupby([each[name] for name in by], sort=False, observed=True).sum()
    events, others = counts["events"], counts["steps"] - counts["events"]
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (of_events - events * (events + 1) / 2) / (events * others)  # Mann and Whitney's
    table = counts.join(groups[["log_loss", "brier", "accuracy"]].mean())
    table = table.assign(auc=auc, calibration=_calibration(each, by), events=events.astype(np.int64))
    return table.reset_index()[[*by, "series", "steps", "events", *EVENT_METRICS]]


def bins(forecast: pd.Series) -> pd.Series:
    """Return the bin of each forecast: up to ten of equal width, from the lowest forecast to the highest."""
    width = forecast.max() - forecast.min()
    count = min(max(len(forecast) // LEAST, 1), BINS)
    if not width > 0:
        return forecast * 0
    return (count * (forecast - forecast.min()) // width).clip(upper=count - 1)


def _calibration(each: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return the mean distance of forecasts from shares of events, over bins within each group."""
    known = each.dropna(subset="y")
    within = known.assign(bin=known.groupby(by, sort=False, observed=True)["forecast"].transform(bins))
    sums = within.groupby([*by, "bin"], sort=False, observed=True)[["y", "forecast"]].sum()
    apart = (sums["y"] - sums["forecast"]).abs().groupby(by, sort=False, observed=True).sum()
    return apart / within.groupby(by, sort=False, observed=True)["y"].count()


def _intervals(rows: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return `metric`, `value`, `low` and `high` (95 %) of the first model; NaN where there are too few windows."""
    known = rows.loc[rows["y"].notna()]
    blocks = [block for _, block in known.groupby("model")]  # in the same order of rows each
    table = scores.iloc[:1][["accuracy", "auc"]].T.set_axis(["value"], axis=1).rename_axis("metric").reset_index()
    table = table.assign(low=np.nan, high=np.nan).set_index("metric")
    if len(scores) > 1:
        rival = int(scores["brier"].iloc[1:].argmin()) + 1 if scores["brier"].notna().all() else 1
        table.loc["skill"] = 1 - scores["brier"].iloc[0] / scores["brier"].iloc[rival], np.nan, np.nan
    by = clusters(blocks[0]) if blocks else None
    if by is not None:
        y, own = blocks[0]["y"].to_numpy(), blocks[0][FORECAST].to_numpy()
        table.loc["accuracy", ["low", "high"]] = mean_interval(((own > 0.5) == (y > 0.5)).astype(np.float64), by)
        table.loc["auc", ["low", "high"]] = auc_interval(y, own, by)
        if len(scores) > 1:
            other = blocks[rival][FORECAST].to_numpy()
            table.loc["skill", ["low", "high"]] = skill_interval((own - y) ** 2, (other - y) ** 2, by)
    return table.reset_index()
