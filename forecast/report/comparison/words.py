"""The words of a comparison of several data sets and horizons: how often models help, and what is said of several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from forecast.comparison.comparison import Comparison
from forecast.report.comparison.compared import Panel, panels_of, reference_of

FEW = 6  # sentences that need not be folded away


class Words(NamedTuple):
    """The most important sentence, what holds of several data sets and horizons, and what of one each."""

    lead: str
    shared: list[str]
    single: list[str]

    @property
    def is_long(self) -> bool:
        """Whether what holds of one each is too much to be read at once."""
        return len(self.single) > FEW


def words_of(comparison: Comparison) -> Words:
    """Lead with how many data sets and horizons a model helps on, and say what holds of several of them once."""
    panels, said = panels_of(comparison), list(map(str, comparison.sentences))
    if len(panels) < 2 or not said:
        return Words(said[0] if said else "", said[1:], [])
    named: dict[str, list[Panel]] = {}
    for sentence in said:
        panel, own = _split(sentence, panels)
        named.setdefault(own, []).extend([panel] if panel else [])
    shared = [f"{_listed(_short(panel) for panel in held)}: {own}" for own, held in named.items() if len(held) > 1]
    single = [f"{_short(*held)}: {own}" if held else own for own, held in named.items() if len(held) < 2]
    lead = _lead(comparison, panels)
    return Words(lead, shared, single) if lead else Words(single[0] if single else shared[0], shared, single[1:])


def _lead(comparison: Comparison, panels: list[Panel]) -> str:
    """Say on how many of the data sets and horizons a model is better than the better simple method."""
    tested = [panel for panel in panels if len(panel.of(comparison.against))]
    if not tested:
        return ""
    won = [_short(panel) for panel in tested if _is_beaten(comparison, panel)]
    of = f"{len(tested)} data sets and horizons"
    method = "the better of naive and seasonal naive"
    if not won:
        return f"On none of {of} is a model shown to be better than {method}."
    where = "" if len(won) == len(tested) else f": {_listed(won)}"
    return f"On {len(won)} of {of} a model is significantly better than {method}{where}."


def _is_beaten(comparison: Comparison, panel: Panel) -> bool:
    """Tell whether any model is better than the method to beat, significantly, on most series and on their mean."""
    rows = panel.of(comparison.against)
    rows = rows[rows["other"].eq(reference_of(panel.of(comparison.leaderboard)))]
    return bool((rows["significant"].eq(True) & rows["win_rate"].gt(0.5) & rows["skill"].gt(0)).any())


def _split(sentence: str, panels: list[Panel]) -> tuple[Panel | None, str]:
    """Take what a sentence begins with, "data, horizon 7: " or "data: ", from what it says."""
    for panel in panels:
        for name in (f"{panel.data}, horizon {panel.horizon}: ", f"{panel.data}: "):
            if sentence.startswith(name):
                return panel, sentence.removeprefix(name)
    return None, sentence


def _short(panel: Panel) -> str:
    return f"{panel.data} {panel.horizon}"


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
