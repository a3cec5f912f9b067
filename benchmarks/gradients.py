"""How far back the loss reaches in `rnn`, `gru` and `lstm`, before and after training: the figure of docs/diagnose.md.

    OMP_NUM_THREADS=1 python benchmarks/gradients.py [--figure docs/gradients.png]

Each network at its defaults, without the linear bypass, learns the daily maximum temperature that ships with the
project, 96 steps back and 14 ahead. Printed: what is left of the gradient at the far end of contexts of 24, 96 and 384
steps, relative to the last step, and how many of the latest steps move the forecast.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from forecast import Columns, Forecaster, diagnose
from forecast.config import read, shipped_folder
from forecast.diagnosis.findings import far_share
from forecast.report import figures

MODELS = ("rnn", "gru", "lstm")
HORIZON, CONTEXT, CONTEXTS = 14, 96, (24, 96, 384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    table = pd.read_csv(shipped_folder() / "weather.csv")
    columns = Columns(id="station", time="date", target="temp_max")
    rows, gradients = {}, []
    for name in MODELS:
        model = {**read("model", name), "bypass": False}
        forecaster = Forecaster(
            model, horizon=HORIZON, context_length=CONTEXT, columns=columns, accelerator="cpu", progress=False
        )
        found = diagnose(forecaster.fit(table), table, contexts=CONTEXTS)
        gradients.append(found.gradients[found.gradients["layer"] != "input"].assign(model=name))
        steps = found.reach.set_index(["context", "when"])["steps"]
        for key, part in gradients[-1].groupby(["context", "when"]):
            rows[(name, *key)] = {"far end": f"{far_share(part):.1e}", "latest steps": steps[key]}
        print(f"{name}: {found.sentence}", flush=True)
    result = pd.DataFrame(rows).T.rename_axis(["model", "context", "when"]).unstack("when")
    order = [(what, when) for what in ("far end", "latest steps") for when in ("before", "after")]
    print(f"\n{result.loc[list(MODELS), order].to_string()}")
    if arguments.figure:
        figures.save(figures.gradient_figure(pd.concat(gradients), lines="model"), arguments.figure)


if __name__ == "__main__":
    main()
