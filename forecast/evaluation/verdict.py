"""The tables of a backtest in a sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.data.columns import Columns
from forecast.evaluation.event_verdict import event_verdict
from forecast.evaluation.relative import best_rival, relative_errors
from forecast.evaluation.tables import INTERVALS, Backtest
from forecast.frames import TARGET, level_name

RANKED_BY = {"mase": "MASE", "mae": "MAE", "smape": "sMAPE", "brier": "Brier score"}  # the first that every model has
FEWEST_WINDOWS = 10  # by which a coverage can be judged
FAR = 0.1  # from the nominal coverage, from which on a sentence says so
LEVEL = 0.02  # relative difference up to which two methods are called level
HELPS = 2.0  # percent by which an error rises at least, where its covariate is said to help
NAMED = 3  # covariates in a sentence


def conclusion(scored: Backtest, *, name: str, columns: Columns, is_calibrated: bool = False) -> str:
    """Return who won, and what a reader should know before believing it."""
    if scored.event:
        target = columns.targets[0] if len(columns.targets) == 1 else "a target"
        return event_verdict(scored, name=name, target=target) + covariate_note(columns)
    notes = (
        distribution_note(scored, name=name),
        interval_note(scored, name=name, is_calibrated=is_calibrated),
        covariate_note(columns),
        importance_note(scored.importance),
    )
    return verdict(scored, name=name) + "".join(notes)


def verdict(scored: Backtest, *, name: str) -> str:
    """Return one sentence that says which method won, and by how much.

    Parameters
    ----------
    scored : Backtest
        Of a forecaster and baselines.
    name : str
        Of the forecaster.
    """
    metric = ranked_by(scored)
    if scored.scores[metric].isna().any():
        return f"Nothing is known of the worth of {name}: no value of the scored windows was observed."
    label = RANKED_BY[metric]
    errors = scored.scores.set_index("model")[metric]
    ours, rival = errors[name], best_rival(scored, metric=metric, name=name)
    if rival is None:
        return f"{name} has a {label} of {shown(ours)}; no baseline was asked for."
    theirs = errors[rival]
    share = _share(scored, metric, name=name, rival=rival)
    if np.isclose(ours, theirs, rtol=LEVEL, atol=0):
        values = f"{label} {shown(ours)} and {shown(theirs)}"
        return f"{name} and {rival} are level ({values}); {share}. The simple method will do."
    if ours < theirs:
        return (
            f"{name} wins: {label} {shown(ours)}, {_percent(ours, theirs)} below the best simple "
            f"method, {rival} ({shown(theirs)}); {share}."
        )
    return (
        f"{rival} wins: {label} {shown(theirs)}; {name} ({shown(ours)}) is {_percent(ours, theirs)} above "
        f"it; {share}. On these windows {rival} is the safer choice."
    )


def ranked_by(scored: Backtest) -> str:
    """Return the metric that models are compared by: the first that every model has, else the last of those there."""
    held = [metric for metric in RANKED_BY if metric in scored.scores]
    return next((metric for metric in held if scored.scores[metric].notna().all()), held[-1])


def interval_note(scored: Backtest, *, name: str, is_calibrated: bool = False) -> str:
    """Return a sentence where the forecaster's 80 % intervals hold far more or less of the truth, else nothing.

    Truth that lies on a bound speaks neither for a wide interval nor for a narrow one: of a series with many zeros the
    best lower bound is often zero, too.
    """
    inside = _inside(scored, name=name)
    is_narrow = bool(inside["held"].mean() < 0.8 - FAR)
    shares = inside["held" if is_narrow else "within"].to_numpy()
    if not len(shares) or not (is_narrow or shares.mean() > 0.8 + FAR):
        return ""
    kind, share = "narrow" if is_narrow else "wide", float(shares.mean())
    told = f" The 80 % intervals of {name} hold {share:.0%} of the truth"
    if len(shares) < FEWEST_WINDOWS or abs(share - 0.8) < 2 * shares.std(ddof=1) / np.sqrt(len(shares)):
        windows = "1 window" if len(inside) == 1 else f"{len(inside)} windows"
        return f"{told} of {windows}, which may be chance."
    way_out = (
        "though they were calibrated: these windows are not like those held back for it"
        if is_calibrated
        else "calibration.windows holds horizons back to mend that"
    )
    return f"{told}, too {kind}; {way_out}."


def _inside(scored: Backtest, *, name: str) -> pd.DataFrame:
    """Return for each window the share of its observed steps in the 80 % interval: with its bounds, and without."""
    table = scored.forecasts
    bounds = [level_name(level) for level in INTERVALS[""]]
    if not set(bounds) <= set(table):
        return pd.DataFrame({"held": [], "within": []}, dtype=np.float64)
    own = table[(table["model"] == name) & table["y"].notna()].dropna(subset=bounds)
    y, low, high = (own[column].to_numpy(np.float64) for column in ("y", *bounds))
    steps = pd.DataFrame({"held": (low <= y) & (y <= high), "within": (low < y) & (y < high)}, dtype=np.float64)
    keys = [own[key].to_numpy() for key in (table.columns[0], TARGET, "fold") if key in own]
    return steps.groupby(keys).mean()


def distribution_note(scored: Backtest, *, name: str) -> str:
    """Return a sentence where the whole distribution tells something else than the point, else nothing."""
    metric, rival = ranked_by(scored), best_rival(scored, metric="crps", name=name)
    if rival is None or scored.scores[metric].isna().any():
        return ""
    point, crps = (scored.scores.set_index("model")[one] for one in (metric, "crps"))
    wins, ours, theirs = point[name] < point.drop(name).min(), crps[name], crps[rival]
    if not np.isfinite(ours) or np.isclose(ours, theirs, rtol=LEVEL, atol=0) or wins == (ours < theirs):
        return ""
    better, worse = (name, rival) if ours < theirs else (rival, name)
    percent = _percent(min(ours, theirs), max(ours, theirs))
    return f" By CRPS, which judges the whole distribution, {better} is {percent} below {worse}."


def covariate_note(columns: Columns) -> str:
    """Return a sentence where the forecaster has read what the simple methods have not, else nothing."""
    return " The simple methods read no covariates." if columns.covariates else ""


def importance_note(importance: pd.DataFrame | None) -> str:
    """Return a sentence on the covariates that a network relies on; nothing where their importance is not known."""
    if importance is None or importance["importance"].isna().any():
        return ""
    metric = importance["metric"].iloc[0].upper()
    helpful = importance[importance["importance"] >= np.maximum(HELPS, 2 * importance["deviation"])].head(NAMED)
    if helpful.empty:
        return f" No covariate helps: none of them, shuffled, clearly raises the {metric}."
    *most, last = (f"{row.covariate} (+{row.importance:.0f} %)" for row in helpful.itertuples())
    return f" The {metric} rises most with {' and '.join(filter(None, [', '.join(most), last]))} shuffled."


def shown(value: float) -> str:
    """Return a metric as a person reads it: four digits, whatever the unit; a dash where there is none."""
    return "-" if not np.isfinite(value) else f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _share(scored: Backtest, metric: str, *, name: str, rival: str) -> str:
    """Return on how many series the forecaster is better than its rival, in words."""
    errors = relative_errors(scored, metric=metric, name=name, rival=rival)
    better = int((errors["own"] < errors["other"]).sum())
    kind = "pairs of series and target" if errors.index.nlevels > 1 else "series"
    return f"{name} is better on {better} of {len(errors)} {kind}"


def _percent(ours: float, theirs: float) -> str:
    share = abs(ours / theirs - 1) if theirs else np.inf
    return f"{share:.0%}" if share < 100 else "far"
