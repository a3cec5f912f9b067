"""Diagnosis: what a trained recurrent network remembers, and what its training did to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from forecast.batch import LONGEST
from forecast.config import name_of
from forecast.data.panel import Panel
from forecast.diagnosis.contexts import models_at, windows_of
from forecast.diagnosis.findings import Finding, findings_of, reach_of, told
from forecast.diagnosis.measures import gradients, memory, saturation
from forecast.diagnosis.summaries import summaries_of
from forecast.errors import ConfigError, DataError, KindError
from forecast.forecaster import Forecaster
from forecast.memory import within_memory
from forecast.predictor import Table

CONTEXTS = (24, 96, 384)
WAY_OUT = "Ask for shorter contexts, or give fewer series."


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What was measured of a network before and after training, at one or several contexts.

    Parameters
    ----------
    model : str
        Name of the network.
    context_length, seasonality : int
        Of the run.
    gradients : DataFrame
        context, when, layer, cell, state, back, mean, median: the norm of the gradient of the loss by steps back.
    saturation : DataFrame
        context, when, layer, cell, gate, shut, open, saturated: shares of gates below 0.05 and above 0.95.
    memory : DataFrame
        context, when, part, back, effect: how far the forecast moves with each step, relative to the largest.
    reach : DataFrame
        context, when, part, steps: of how many of the latest steps the farthest moves it by more than 1 %.
    history : DataFrame
        Norms of gradient and weights by training step; empty where they are not known.
    findings : tuple of Finding
        What to be warned of, with what to try.
    notes : tuple of str
        Contexts that are left out, and what a context does to the weights.
    """

    model: str
    context_length: int
    seasonality: int
    gradients: pd.DataFrame
    saturation: pd.DataFrame
    memory: pd.DataFrame
    reach: pd.DataFrame
    history: pd.DataFrame
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        return told(self.gradients, self.reach, self.findings, model=self.model, nearest=self.nearest_context)

    @property
    def nearest_context(self) -> int:
        """The context of the run, or where series are too short for it, the nearest that was looked at."""
        return int(min(self.gradients["context"].unique(), key=lambda one: (abs(one - self.context_length), one)))

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that are not empty, by name."""
        names = ("gradients", "saturation", "memory", "reach", "history")
        return {name: table for name in names if len(table := getattr(self, name))}

    def summaries(self) -> dict[str, pd.DataFrame]:
        """Return short tables under their captions, before and after training side by side."""
        return summaries_of(self.gradients, self.reach, self.saturation, nearest=self.nearest_context)

    def __repr__(self) -> str:
        parts = [f"Diagnosis of {self.model}, context {self.context_length}", self.sentence]
        parts += [f"- {finding}" for finding in self.findings]
        parts += [f"({note})" for note in self.notes]
        return "\n".join([*parts, f"tables: {', '.join(self.tables())}"])


def diagnose(forecaster: Forecaster, frame: Table, *, contexts: Sequence[int] = CONTEXTS) -> Diagnosis:
    """Measure how far back a trained network can learn, and how far back it looks.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted, or loaded; of an ensemble one of `members_`.
    frame : DataFrame, Series or Panel
        Series to cut windows from: those that it was trained on, or others with the same columns.
    contexts : sequence of int
        Context lengths beside its own. The weights stay, only the windows are longer or shorter.

    Returns
    -------
    Diagnosis, with what lies before training where `forecaster.seed` made it anew.

    Raises
    ------
    ConfigError
        If a context is no whole number of steps.
    DataError
        If no series is long enough for any of the contexts.
    """
    if not isinstance(forecaster, Forecaster):
        raise KindError(
            f"diagnose takes a fitted Forecaster, got {type(forecaster).__name__}. Of an ensemble, give one of its "
            "members_."
        )
    check_is_fitted(forecaster)
    panel = forecaster.as_panel(frame, columns=forecaster.panel_.columns, freq=forecaster.freq_)
    forecaster.refuse_other_panel(panel)
    forecaster.model_.scaler.check(panel)
    parts, notes = list[dict[str, pd.DataFrame]](), list[str]()
    for context in sorted({forecaster.context_length_, *_checked(contexts)}):
        try:
            with within_memory(DataError, WAY_OUT):
                measured, note = _measured(forecaster, panel, context)
        except (ConfigError, DataError) as error:
            notes.append(f"context {context} is left out: {error}")
            continue
        parts += measured
        notes += [note] if note else []
    if not parts:
        raise DataError(f"there is no context to look at: {' '.join(notes)}")
    return _joined(forecaster, parts, notes)


def _measured(forecaster: Forecaster, panel: Panel, context: int) -> tuple[list[dict[str, pd.DataFrame]], str]:
    """Return the tables of a context by name, before training and after it, and a note."""
    batch = windows_of(forecaster, panel, context=context)
    models, note = models_at(forecaster, context=context)
    parts = []
    for when, model in models.items():
        norms, traces = gradients(model, batch)
        own = {"gradients": norms, "saturation": saturation(traces, context=context), "memory": memory(model, batch)}
        for table in own.values():
            table.insert(0, "context", context)
            table.insert(1, "when", when)
        parts.append(own)
    return parts, note


def _joined(forecaster: Forecaster, parts: list[dict[str, pd.DataFrame]], notes: list[str]) -> Diagnosis:
    tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
    moved, season = tables.pop("memory"), forecaster.seasonality_
    measured = {**tables, "reach": reach_of(moved), "history": getattr(forecaster, "history_", pd.DataFrame())}
    cuts = any(getattr(module, "detach_every", 0) for module in forecaster.model_.modules())
    return Diagnosis(
        model=name_of("model", getattr(forecaster, "chosen_", forecaster.model)),
        context_length=forecaster.context_length_,
        seasonality=season,
        memory=moved,
        findings=findings_of(**measured, context=forecaster.context_length_, seasonality=season, is_truncated=cuts),
        notes=tuple(dict.fromkeys(notes)),
        **measured,
    )


def _checked(contexts: Sequence[int]) -> list[int]:
    if isinstance(contexts, str) or not hasattr(contexts, "__iter__"):
        raise ConfigError(f"contexts is a list of context lengths, got {contexts!r}. Write [{contexts}].")
    for context in contexts:
        if not isinstance(context, Integral) or isinstance(context, bool) or not 1 < context <= LONGEST:
            raise ConfigError(f"contexts are whole numbers of steps from 2 to {LONGEST:,}, got {context!r}.")
    return [int(context) for context in contexts]
