"""What the framework costs: training through it beside a bare torch loop, in one process, step by step in turn.

    python benchmarks/overhead.py [--steps 200] [--threads 2]

Two networks on windows of 96 steps ahead of 48: a GRU of width 64 at batch 256, and a GRU over 4 segments of 24 steps
at batch 1,024. The bare loop runs the same layers on random tensors of the same shapes: forward, mean absolute error,
backward, clipping, Adam. The framework draws windows from a panel, scales them, and does the rest through Lightning,
with its own default optimiser, which is torch's fused Adam; the bare loop has torch's default one.
After each step of the framework comes one of the bare loop, so that whatever else the machine does meets both alike.
Printed: the median milliseconds of both, and the ratio of the sums over the middle half of the steps.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from forecast import Panel, Training
from forecast.batch import Sizes
from forecast.config import read
from forecast.data.encoding import Encoding
from forecast.data.windows import TrainingWindows, Windows
from forecast.losses import MAE
from forecast.model import Model
from forecast.scaling import WindowScaler
from forecast.training.loop import train
from forecast.training.trainer import trainer_for

CONTEXT, HORIZON, HIDDEN, SEGMENT, WARM_UP = 96, 48, 64, 24, 20


class Plain(nn.Module):
    """A GRU over the steps, a linear map from its last state."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.recurrent = nn.GRU(1, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def forward(self, inputs, teacher=None, feedback=None):
        return self.raw(inputs.target)[..., None, None]

    def raw(self, target: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(target)[1][-1])


class Segments(Plain):
    """A GRU over 4 segments of 24 steps, a linear map from its last state."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.embed = nn.Linear(SEGMENT, HIDDEN)
        self.recurrent = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def raw(self, target: torch.Tensor) -> torch.Tensor:
        segments = torch.relu(self.embed(target.reshape(len(target), -1, SEGMENT)))
        return super().raw(segments)


class Bare(Callback):
    """After each step of the framework, time one of a bare loop."""

    def __init__(self, network: nn.Module, batch_size: int) -> None:
        self.network, self.framework, self.bare = network, [], []
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        self.context, self.outcome = torch.randn(batch_size, CONTEXT, 1), torch.randn(batch_size, HORIZON)
        self.ended: float | None = None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        began = time.perf_counter()
        if self.ended is not None:
            self.framework.append(began - self.ended)
        self.optimizer.zero_grad()
        loss = (self.network.raw(self.context) - self.outcome).abs().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.ended = time.perf_counter()
        self.bare.append(self.ended - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compare("GRU, batch 256", Plain, 256, arguments.steps)
    compare("GRU over 4 segments, batch 1,024", Segments, 1024, 4 * arguments.steps)


def compare(label: str, network: type[Plain], batch_size: int, steps: int) -> None:
    panel = walks()
    windows = Windows(panel, Encoding.fit(panel), context_length=CONTEXT, horizon=HORIZON)
    draws = TrainingWindows(windows, batch_size=batch_size, seed=0, steps=steps)
    sizes, loss, scaler = windows.sizes(season=1, outputs=1), MAE(), WindowScaler()
    loss.prepare(sizes)
    training, bare = Training(steps=steps, batch_size=batch_size), Bare(network(), batch_size)
    trainers = partial(
        trainer_for, training, read("accelerator", "cpu"), validates=False, callbacks=[bare], logger=None, folder=None
    )
    train(Model(network(sizes), scaler, loss), draws, training, trainers=trainers, seed=0)
    framework, plain = (middle(np.array(times[WARM_UP:])) for times in (bare.framework, bare.bare))
    times = f"bare {np.median(plain) * 1e3:.2f} ms, framework {np.median(framework) * 1e3:.2f} ms a step"
    ratio = framework.sum() / plain.sum()
    print(f"{label}: {times}, ratio {ratio:.3f} over {len(plain)} steps, {torch.get_num_threads()} threads")


def middle(times: np.ndarray) -> np.ndarray:
    """Return the middle half of the times, without the steps in which something else ran."""
    return np.sort(times)[len(times) // 4 : len(times) // 4 + len(times) // 2]


def walks() -> Panel:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"unique_id": np.repeat(np.arange(20), 1000), "ds": np.tile(np.arange(1000), 20)})
    return Panel.from_frame(frame.assign(y=random.normal(size=len(frame)).cumsum()))


if __name__ == "__main__":
    main()
