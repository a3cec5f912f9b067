"""Every model on every data set of the catalogue that is at hand, as the tables of docs/benchmarks.md.

    python benchmarks/tables.py [NAME ...] [--page docs/benchmarks.md] [--quick] [--models all] [--seeds 1] [--steps N]
        [--peers equal defaults] [--without NAME ...] [--store comparisons] [--processes 1]

Each data set is scored by the rules of its competition or of its papers, where there are any (PLANS and the catalogue
say which), else at rolling origins. Finished cells lie in the store: a second call goes on where the first was stopped.
Without --page the sections are printed; with it they go into that page between markers, each as soon as it is finished,
and what has none is named at its end. Public data sets are looked for in FORECAST_DATASETS and the cache; none is
fetched. --quick runs few models for few steps, to see that all is in place. --peers adds NeuralForecast and Darts where
they are installed (benchmarks/peers.py says how).
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from peers import BUDGETS, Lengths, peers, versions

from forecast import DataSet, Training, compare, load_data
from forecast.comparison.comparison import Comparison
from forecast.comparison.entries import ALL, SIMPLE, Shared
from forecast.comparison.protocols import Contested
from forecast.comparison.settings import Protocol, named_protocol
from forecast.config import networks
from forecast.data.catalogue import HERE, SHIPS, data_names, data_settings, place_of
from forecast.data.splits import usual_context
from forecast.errors import ConfigError, ForecastError
from forecast.files import write_whole
from forecast.jobs.comparing import shown_cells
from forecast.jobs.console import new_console
from forecast.report.comparison.tables import markdown_table

QUICK_MODELS, QUICK_STEPS = ("gru", "linear", "ridge"), 5
NOT_RUN = "what was not run"


@dataclass(frozen=True)
class Plan:
    """How a data set is scored: a protocol, changes to it, and the horizon where it is not that of the catalogue."""

    protocol: str = "rolling"
    changes: Mapping[str, int] = field(default_factory=dict)
    horizon: int | None = None

    @property
    def resolved(self) -> Protocol:
        """The protocol with its changes."""
        return replace(named_protocol(self.protocol), **self.changes)

    def words(self) -> list[str]:
        """Return what it is on the command line."""
        found = [] if self.protocol == "rolling" else [f"protocol={self.protocol}"]
        found += [f"backtest.{name}={value}" for name, value in self.changes.items()]
        return found if self.horizon is None else [*found, f"horizons=[{self.horizon}]"]


FEW_SERIES = Plan(changes={"folds": 20})  # so that a test over windows has enough of them
PLANS = {
    "weather": FEW_SERIES,
    "weather_joint": FEW_SERIES,
    "seattle_weather": FEW_SERIES,
    "temps": FEW_SERIES,
    "stocks": FEW_SERIES,
    "stocks_daily": FEW_SERIES,
    "sales": Plan(changes={"folds": 8}),  # the same, as far as 17 years go
    "car_parts": Plan(changes={"folds": 1}),  # of 51 months, most without a sale
    "exchange_rate": Plan("long_horizon", {"train": 5311, "validation": 760, "test": 1517}, 96),  # 7 : 1 : 2
}


def main() -> None:
    arguments = parsed()
    if arguments.page is not None and NOT_RUN not in sections_of(arguments.page.read_text(encoding="utf-8")):
        raise ConfigError(
            f"'{arguments.page}' has no place for tables. Give it the line '{begin(NOT_RUN)}' and its end."
        )
    refused: list[str] = []
    for name in arguments.names or at_hand():
        try:
            told = section_of(name, arguments)
        except ForecastError as error:  # one data set is no end of the others
            refused.append(f"{name}: {error}")
            continue
        if arguments.page is None:
            print(told, flush=True)
        else:
            write_whole(arguments.page, with_section(arguments.page.read_text(encoding="utf-8"), name, told))
    if refused:
        sys.exit("\n".join(refused))


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of conf/data; all that are at hand by default")
    parser.add_argument("--page", type=Path, help="the file that the sections go into")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK_MODELS)} for {QUICK_STEPS} steps")
    parser.add_argument("--models", nargs="+", default=[ALL], help="names of networks and simple methods, or all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of training, where not those of the defaults")
    parser.add_argument("--peers", nargs="+", default=[], choices=BUDGETS)
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="peers that are not entered")
    parser.add_argument("--store", default="comparisons")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.models, arguments.steps = list(QUICK_MODELS), arguments.steps or QUICK_STEPS
    return arguments


def at_hand() -> list[str]:
    """Return the data sets of the catalogue whose tables are on this machine, without those that are made up."""
    return [name for name in data_names() if place_of(data_settings(name)) in (HERE, SHIPS)]


def section_of(name: str, arguments: argparse.Namespace) -> str:
    """Run what the store lacks of a data set, and return its section."""
    data = load_data(name, fetch=False)
    plan = PLANS.get(name, Plan(data.protocol or "rolling"))
    told = section(data, plan, compared(data, plan, arguments), command=command(name, plan, arguments))
    if not arguments.peers:
        return told
    return f"{told}\n\nPeers: {', '.join(f'{library} {number}' for library, number in versions().items())}."


def compared(data: DataSet, plan: Plan, arguments: argparse.Namespace) -> Comparison:
    """Run what the store lacks."""
    training = Training() if arguments.steps is None else Training(steps=arguments.steps)
    horizon = plan.horizon or data.horizon
    assert horizon is not None  # the catalogue has one for each
    entered: list[Any] = [*networks(), *SIMPLE] if arguments.models == [ALL] else list(arguments.models)
    if arguments.peers:
        panel = Contested(data.name, data.frame, data.columns, freq=data.freq).panel
        context = usual_context(panel, horizon=horizon, season=data.seasonality or panel.season)
        lengths = Lengths(horizon, context, data.columns, data.freq)
        for budget in arguments.peers:
            found = peers(lengths, budget=budget, training=training)
            entered += [(name, peer) for name, peer in found.items() if name not in arguments.without]
    with shown_cells(new_console(), live=True) as watch:
        return compare(
            data, entered, horizons=horizon, seeds=arguments.seeds, protocol=plan.resolved, watch=watch,
            shared=Shared(training, accelerator="cpu"), store=arguments.store, processes=arguments.processes,
        )  # fmt: skip


def command(name: str, plan: Plan, arguments: argparse.Namespace) -> str:
    """Return what repeats a section: `forecast compare`, or this script where peers are entered."""
    if arguments.peers:
        words = ["python", "benchmarks/tables.py", name, "--models", *arguments.models, "--peers", *arguments.peers]
        words += ["--without", *arguments.without] if arguments.without else []
        words += [] if arguments.seeds == 1 else ["--seeds", str(arguments.seeds)]
        return shlex.join(words if arguments.steps is None else [*words, "--steps", str(arguments.steps)])
    models = ALL if arguments.models == [ALL] else f"[{','.join(arguments.models)}]"
    words = ["forecast", "compare", f"data={name}", f"models={models}", *plan.words(), "accelerator=cpu"]
    words += [] if arguments.seeds == 1 else [f"seeds={arguments.seeds}"]
    return shlex.join(words if arguments.steps is None else [*words, f"training.steps={arguments.steps}"])


def section(data: DataSet, plan: Plan, found: Comparison, *, command: str) -> str:
    """Return what a page tells of a data set: how it was scored, every model, the words, and who failed."""
    scores, protocol = found.scores.iloc[0], plan.resolved
    origins = found.per_window[["model", "seed", "series", "cutoff"]]
    several = " and targets" if len(data.columns.targets) > 1 else ""
    windows = int(origins.groupby(["model", "seed"]).size().iloc[0])
    parts = [
        f"## {data.title}",
        f"{data.about} {int(scores['series_count']):,} series{several}, horizon {int(scores['horizon'])}, "
        f"{windows:,} windows; protocol `{plan.protocol}`; {_count(found.settings['seeds'], 'seed')}.",
        f"    {command}",
        markdown_table(found).strip(),
    ]
    if protocol.standardised:
        board = found.leaderboard.sort_values("mse")
        errors = [f"`{row.model}` {row.mse:.3f} / {row.mae:.3f}" for row in board.itertuples()]
        parts.append(f"MSE / MAE on the z-scored axis: {', '.join(errors)}.")
    parts.append("\n".join(f"- {sentence}" for sentence in found.sentences))
    failed = found.cells[found.cells["status"] == "failed"].drop_duplicates("model")
    parts += [f"Failed: `{row.model}`: {row.reason}" for row in failed.itertuples()]
    left_out = [name for name in (*networks(), *SIMPLE) if name not in set(found.cells["model"])]
    parts += [f"Not entered: {', '.join(f'`{name}`' for name in left_out)}."] if left_out else []
    return "\n\n".join(part for part in parts if part)


def begin(name: str) -> str:
    """Return the line that a section begins with."""
    return f"<!-- begin {name} -->"


def end(name: str) -> str:
    """Return the line that a section ends with."""
    return f"<!-- end {name} -->"


def sections_of(page: str) -> list[str]:
    """Return the names of the sections that a page has, in their order."""
    return [name for name in re.findall(r"<!-- begin (.+?) -->", page) if end(name) in page]


def with_section(page: str, name: str, told: str) -> str:
    """Return a page with a section put in the place of its former self, or after the others; what has none is named."""
    if name not in sections_of(page):
        last = page.index(begin(NOT_RUN))
        page = f"{page[:last]}{begin(name)}\n{end(name)}\n\n{page[last:]}"
    page = _filled(page, name, told)
    lacking = [f"`{other}`" for other in _real_names() if other not in sections_of(page)]
    return _filled(page, NOT_RUN, f"Not run yet: {', '.join(lacking)}." if lacking else "Every data set was run.")


def _filled(page: str, name: str, told: str) -> str:
    head, rest = page.split(begin(name), 1)
    return f"{head}{begin(name)}\n{told}\n{end(name)}{rest.split(end(name), 1)[1]}"


@cache
def _real_names() -> Sequence[str]:
    settings = {name: data_settings(name) for name in data_names()}
    return [name for name, data in settings.items() if data["ships"] is not None or data["public"] is not None]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


if __name__ == "__main__":
    main()
