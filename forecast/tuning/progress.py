"""How far a search has come, as a bar on a terminal."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from forecast.tuning.budget import in_words

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class TuningBar:
    """One line: trials made, the lowest error so far, and the time left. Where nobody watches, nothing is written.

    Parameters
    ----------
    label : str
        What is tuned.
    trials : int, optional
        How many there will be at most.
    seconds : float, optional
        How long it may take.
    console : Console, optional
        Of a job, so that what it prints meanwhile stands above the bar.
    is_shown : bool
        False shows nothing at all.
    """

    def __init__(
        self,
        label: str,
        *,
        trials: int | None,
        seconds: float | None,
        console: Console | None = None,
        is_shown: bool = True,
    ) -> None:
        console = console or Console(stderr=True)
        self.trials, self.seconds = trials or math.inf, seconds or math.inf
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        self._bar = Progress(*columns, console=console, transient=True, disable=not (is_shown and console.is_terminal))
        self._task = self._bar.add_task(f"tuning {label}", total=1.0, told="")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self._bar.stop()

    def show(self, *, made: int, spent: float, best: FrozenTrial | None) -> None:
        """Move the bar to the share of trials or of time that is done, whichever is more."""
        some = f"{made} of {self.trials}" if math.isfinite(self.trials) else str(made)
        left = min(self.seconds - spent, (self.trials - made) * spent / made if made else math.inf)
        told = [f"{some} trials", "" if best is None else f"best {best.value:.4g}"]
        told += [f"{in_words(max(left, 0))} left"] if math.isfinite(left) else []
        done = max(made / self.trials, spent / self.seconds)
        self._bar.update(self._task, completed=min(done, 1.0), told="  ".join(filter(None, told)))
