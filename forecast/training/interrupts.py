"""Signals while training: the first is heard between two steps, the second at once."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from forecast.training.divergence import Diverged

DEFAULT: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupted(BaseException):
    """A training that a signal ended; the weights are those of the last whole step where it `is_whole`."""

    def __init__(self, signum: int, *, is_whole: bool) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum, self.is_whole = signum, is_whole

    def error(self) -> BaseException:
        """Return what a program that knows nothing of this one expects: the exit code of SIGTERM is 143."""
        return KeyboardInterrupt() if self.signum == signal.SIGINT else SystemExit(128 + self.signum)


@contextmanager
def between_steps(trainer: pl.Trainer) -> Iterator[None]:
    """Let an interrupt end training after the step that runs, so that there is a whole state to keep.

    Signals that the program handles in its own way stay its own, and so do those of the workers of a program and of a
    training on several devices. An interrupt amid a step comes out as `Interrupted` too, where Lightning would leave
    the interpreter and the signal ignored.

    Raises
    ------
    Interrupted
        After a signal, also where training ended with the step that ran.
    """
    before = {signum: signal.getsignal(signum) for signum in DEFAULT}
    watch = _Watch([signum for signum in DEFAULT if before[signum] == DEFAULT[signum] and _is_ours(trainer)])
    trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    try:
        yield
    except Diverged as error:
        if watch.received is not None:
            raise Interrupted(watch.received, is_whole=error.is_whole) from error
        raise
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise Interrupted(signal.SIGINT, is_whole=False) from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            for signum, handler in before.items():
                if handler is not None:  # set by another language, and not ours to give back
                    signal.signal(signum, handler)
    watch.stop_if_asked()


class _Watch(Callback):
    """Notes the first signal, and raises it before the next step."""

    def __init__(self, signals: list[signal.Signals]) -> None:
        self.signals = signals
        self.received: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals over, from Lightning too, which has set its own by now."""
        for signum in self.signals:
            signal.signal(signum, self._note)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """End training where a signal came."""
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise the signal that came, if any."""
        if self.received is not None:
            raise Interrupted(self.received, is_whole=True)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        for ours in self.signals:
            signal.signal(ours, DEFAULT[ours])  # who asks twice does not want to wait


def _is_ours(trainer: pl.Trainer) -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and multiprocessing.parent_process() is None and trainer.world_size == 1
