"""Exported graphs give the numbers of the package, and are served without it."""

from __future__ import annotations

import builtins
import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from batches import WIDE, made_batch
from command import forecast
from frames import made_frame, made_roles

from forecast import Calibrated, Columns, Ensemble, Forecaster, Training
from forecast.batch import Sizes
from forecast.config import build, names, networks
from forecast.errors import ArtifactError, ConfigError
from forecast.export import export
from forecast.export.check import refuse_apart
from forecast.export.quantiles import reader_of
from forecast.export.recurrence import traceable
from forecast.model import Model

ort = pytest.importorskip("onnxruntime")
EXAMPLES = Path(__file__).parents[1] / "examples"
LEVELS = (0.1, 0.5, 0.9)
CLOSE = 1e-5  # of the largest value of a window
SCALINGS = [name for name in names("scaling") if name != "smoothing"]
EVENTS = [name for name in names("loss") if build("loss", name).is_event]
LOSSES = [name for name in names("loss") if name not in ("tweedie", *EVENTS)]
FROM_ZERO = ("log_normal", "poisson", "negative_binomial", "zero_inflated")
BLOCKED = "import sys\nfor name in ('torch', 'forecast', 'pandas'): sys.modules[name] = None\n"


@pytest.fixture(autouse=True, scope="module")
def _no_trace() -> Iterator[None]:
    """Torch notes every operation that it traces for a log that pytest opens: that would take longer than the tests."""
    trace = logging.getLogger("torch.__trace")
    before, trace.disabled = trace.disabled, True
    yield
    trace.disabled = before


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> tuple[Forecaster, Path, float | None]:
    """A network with covariates of all kinds and a minimum, and the folder that it was exported to."""
    fitted = made_forecaster("gru", columns=Columns(**made_roles(), minimum=9.0))
    exported = export(fitted, tmp_path_factory.mktemp("gru") / "graph", levels=LEVELS)
    return fitted, exported.path, exported.difference


@pytest.fixture(scope="module")
def deepar(tmp_path_factory: pytest.TempPathFactory) -> tuple[Forecaster, Path, float | None]:
    """A network that draws paths, and the folder that it was exported to."""
    fitted = made_forecaster("deepar")
    exported = export(fitted, tmp_path_factory.mktemp("deepar") / "graph", levels=LEVELS)
    return fitted, exported.path, exported.difference


def test_a_graph_gives_the_numbers_of_the_network_and_keeps_to_a_minimum(
    gru: tuple[Forecaster, Path, float | None],
) -> None:
    assert gru[2] is not None and gru[2] < CLOSE
    manifest = _manifest(gru[1])
    assert manifest["minima"] == [9.0] and manifest["verified"] == gru[2]


def test_the_manifest_tells_what_goes_in_and_comes_out(gru: tuple[Forecaster, Path, float | None]) -> None:
    fitted, path, _ = gru
    manifest = _manifest(path)
    graph = manifest["graphs"]["forecast"]
    assert hashlib.sha256((path / graph["file"]).read_bytes()).hexdigest() == graph["sha256"]
    session = ort.InferenceSession(path / graph["file"])
    for told, own in ((graph["inputs"], session.get_inputs()), (graph["outputs"], session.get_outputs())):
        assert [(one["name"], one["shape"]) for one in told] == [(one.name, one.shape) for one in own]
    shapes = {one["name"]: one["shape"] for one in graph["inputs"]}
    assert shapes["target"] == ["batch", 8, 1] and shapes["known"] == ["batch", 11, 1]
    assert "series" not in shapes and "position" not in shapes  # the network reads neither
    assert manifest["covariates"]["past"][0] == {
        "name": "temp",
        "kind": "number",
        "mean": fitted.encoding_.statistics["temp"][0],
        "deviation": fitted.encoding_.statistics["temp"][1],
    }
    assert manifest["covariates"]["static"][1]["categories"] == ["north", "south"]
    assert (manifest["horizon"], manifest["context_length"], manifest["levels"]) == (3, 8, [0.1, 0.5, 0.9])


def test_the_script_of_the_page_forecasts_without_the_package(
    gru: tuple[Forecaster, Path, float | None], tmp_path: Path
) -> None:
    fitted, path, _ = gru
    frame = _history().astype({"y": float})
    frame.loc[frame.index[[-2, -9, 3]], "y"] = np.nan
    history, ahead = frame[frame["ds"] < "2024-02-07"], frame[frame["ds"] >= "2024-02-07"]
    short = history.drop(history.index[:34])  # its first series is shorter than a context
    future = ahead.assign(y=np.nan)
    pd.concat([short, future]).sample(frac=1, random_state=0).to_csv(tmp_path / "history.csv", index=False)
    got = _script("serve.py", path, tmp_path / "history.csv")
    wanted = fitted.predict(short, future=future.drop(columns="y"), levels=LEVELS)
    for name in ("forecast", "q0.1", "q0.5", "q0.9"):
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such pipes")
def test_a_script_is_quiet_where_nobody_reads_on(gru: tuple[Forecaster, Path, float | None], tmp_path: Path) -> None:
    _history().to_csv(tmp_path / "history.csv", index=False)
    words = [sys.executable, EXAMPLES / "serve.py", gru[1], tmp_path / "history.csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        assert script.stdout is not None and script.stderr is not None
        script.stdout.close()
        assert script.stderr.read() == b""
    assert script.returncode == 1


def test_batches_of_any_size_and_series_never_met_go_through_one_graph(
    gru: tuple[Forecaster, Path, float | None],
) -> None:
    session = ort.InferenceSession(gru[1] / "forecast.onnx")
    given = {one.name: np.zeros((5, *one.shape[1:]), np.float64) for one in session.get_inputs()}
    given = {
        one.name: given[one.name].astype({"tensor(int64)": np.int64, "tensor(float)": np.float32}.get(one.type, float))
        for one in session.get_inputs()
    }
    given["target"] += 20 + np.arange(40.0).reshape(5, 8, 1)
    given["target"][2] = np.nan  # nothing observed: no forecast
    point, quantiles = session.run(None, given)
    assert point.shape == (5, 3, 1) and quantiles.shape == (5, 3, 1, 3)
    assert np.isnan(point[2]).all() and np.isfinite(np.delete(point, 2, axis=0)).all()
    for row in (0, 4):
        alone, _ = session.run(None, {name: part[row : row + 1] for name, part in given.items()})
        np.testing.assert_allclose(alone[0], point[row], rtol=1e-6)


@pytest.mark.slow
def test_a_network_that_draws_gives_the_same_paths_from_the_same_random_numbers(
    deepar: tuple[Forecaster, Path, float | None], tmp_path: Path
) -> None:
    fitted, path, difference = deepar
    assert difference is not None and difference < CLOSE
    frame = made_frame(series=2, rows=40)
    frame.to_csv(tmp_path / "history.csv", index=False)
    got = _script("draw_paths.py", path, tmp_path / "history.csv")
    wanted = fitted.predict(frame, levels=LEVELS)
    spread = (wanted["q0.9"] - wanted["q0.1"]).to_numpy()
    assert len(got) == len(wanted)  # other random numbers: 100 paths tell the median to within a few tenths
    assert (np.abs(got["forecast"] - wanted["forecast"]) < 0.5 * spread).all()


def test_what_cannot_be_exported_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = made_forecaster("linear")
    for options, told in (
        ({"format": "onxx"}, "no format 'onxx'. Choose one of: onnx"),
        ({"levels": [0.99]}, "covers no level 0.99"),
    ):
        with pytest.raises(ConfigError, match=told):
            export(fitted, tmp_path / "graph", **options)
    tweedie = build("loss", "tweedie")
    with pytest.raises(ConfigError, match="loss=tweedie .* cannot be exported. Losses that can: quantile"):
        reader_of(tweedie, LEVELS, most=128)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ArtifactError, match="is no saved export"):
        export(fitted, tmp_path / "mine")
    found = builtins.__import__

    def without(name: str, *rest: Any, **others: Any) -> Any:
        if name.startswith("onnx"):
            raise ModuleNotFoundError(name)
        return found(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'recurrent-forecast\[export\]'"):
        export(fitted, tmp_path / "graph")
    assert not (tmp_path / "graph").exists()


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_other_numbers_than_those_of_the_network_are_refused(difference: float) -> None:
    with pytest.raises(ArtifactError, match="gives other numbers than the network"):
        refuse_apart(difference)


@pytest.mark.parametrize("name", networks())
def test_recurrences_that_can_be_followed_give_the_same_numbers_in_padding_too(name: str) -> None:
    torch.manual_seed(0)
    inputs, _ = made_batch(WIDE)
    observed = inputs.observed.clone()
    for row, begin in enumerate((0, 3, 11, 12)):
        observed[row, :begin] = 0
    inputs = inputs._replace(target=inputs.target * observed, observed=observed)
    loss = build("loss", "student_t")
    loss.prepare(WIDE)
    scaler = build("scaling", "last")
    scaler.prepare(WIDE)
    model = Model(build("model", name, WIDE), scaler, loss).eval()
    for weights in model.parameters():
        weights.data += 0.1 * torch.randn_like(weights)
    with torch.no_grad():
        torch.testing.assert_close(traceable(model)(inputs)[0], model(inputs)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("season", "bidirectional"), [(4, False), (1, True), (20, True)])
def test_smoothing_and_both_directions_of_every_cell_can_be_followed(season: int, bidirectional: bool) -> None:
    sizes = replace(WIDE, season=season)
    inputs, _ = made_batch(sizes)
    inputs.observed[1, :5] = 0
    inputs.observed[2, 4:7] = 0
    inputs = inputs._replace(target=inputs.target.abs() * inputs.observed)
    scaler = build("scaling", "smoothing")
    scaler.prepare(sizes)
    for weights in scaler.parameters():
        weights.data += 0.1 * torch.randn_like(weights)
    for cell in ("rnn", "gru", "lstm"):
        options = {"cell": cell, "bidirectional": bidirectional, "layers": 2, "residual": True, "hidden_size": 6}
        network = build("model", {"_target_": "forecast.networks.seq2seq.Seq2Seq", **options}, sizes)
        model = Model(network, scaler, build("loss", "student_t")).eval()
        with torch.no_grad():
            torch.testing.assert_close(traceable(model)(inputs), model(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_quantiles_in_a_graph_are_those_of_the_loss(name: str) -> None:
    loss, sizes = build("loss", name), Sizes(context_length=4, horizon=3, targets=2)
    loss.prepare(sizes)
    draw = torch.Generator().manual_seed(0)
    if hasattr(loss, "errors"):
        loss.errors.copy_(torch.randn(loss.errors.shape, generator=draw).sort(dim=-1).values)
    raw = 3 * torch.randn(200, 3, 2, loss.outputs, generator=draw)
    scale = 0.5 + 30 * torch.rand(200, 1, 2, generator=draw)
    levels = [level for level in (0.01, 0.1, 0.333, 0.5, 0.9, 0.99) if loss.covers(level)]
    wanted = loss.scaled_quantiles(raw, torch.tensor(levels), scale)
    torch.testing.assert_close(reader_of(loss, levels, most=2048)(raw, scale), wanted, rtol=1e-4, atol=1e-5)


def test_counts_beyond_those_added_up_are_not_told() -> None:
    loss = build("loss", "poisson")
    raw, scale = torch.tensor([[[[2.0]]], [[[5.0]]]]), torch.full((1, 1, 1), 50.0)
    got = reader_of(loss, [0.5], most=128)(raw, scale)
    assert got[0].isfinite().all() and got[1].isnan().all()


@pytest.mark.slow
def test_the_job_exports_a_run_and_says_how_far_its_numbers_are_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made_forecaster("linear").save("saved")
    assert forecast("export", "run=saved", "format=torch_export", "levels=[0.2,0.8]", "hydra.run.dir=run") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "exported to run/graph" in told and "the largest difference to the network is" in told
    assert {path.name for path in Path("run/graph").iterdir()} == {"forecast.pt2", "manifest.json"}
    assert _manifest(Path("run/graph"))["levels"] == [0.2, 0.8]
    assert forecast("export", "run=nowhere") == 2
    assert "there is no saved forecaster" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("model", networks())
def test_every_network_can_be_exported(model: str, tmp_path: Path) -> None:
    fitted = made_forecaster(model, columns=Columns(**made_roles()))
    assert export(fitted, tmp_path / "graph").difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("model", networks())
def test_every_network_can_be_exported_where_nothing_is_known_ahead(model: str, tmp_path: Path) -> None:
    fitted = made_forecaster(model, columns=Columns(calendar=()))
    assert export(fitted, tmp_path / "graph").difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_scaling_can_be_exported(scaling: str, tmp_path: Path) -> None:
    assert export(made_forecaster("gru", scaling=scaling), tmp_path / "graph").difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_but_tweedie_can_be_exported(loss: str, tmp_path: Path) -> None:
    scaling = "mean_abs" if loss in FROM_ZERO else "series"
    assert export(made_forecaster("lstm", loss=loss, scaling=scaling), tmp_path / "graph").difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("seq2seq", {}),
        ("deepar", {"scaling": "log"}),
        ({"_target_": "forecast.networks.deepar.DeepAR", "bypass": True, "lags": 2, "layers": 1}, {"seasonality": 3}),
        ("gru", {"scaling": {"_target_": "forecast.scaling.WindowScaler", "cycle": True}, "seasonality": 7}),
    ],
)
def test_several_targets_can_be_exported(model: Any, options: dict[str, Any], joint: bool, tmp_path: Path) -> None:
    columns = Columns(target=("y", "z"), joint=joint, minimum={"z": 9.0})
    loss = {"loss": "gaussian"} if model != "seq2seq" else {}
    fitted = made_forecaster(model, columns=columns, **{**loss, **options})
    assert export(fitted, tmp_path / "graph").difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("combine", ["median", "mean"])
def test_an_ensemble_is_a_folder_of_members_that_the_script_makes_one(combine: str, tmp_path: Path) -> None:
    members = [partial(Forecaster, "linear"), partial(Forecaster, "gru", context_length=6), partial(Forecaster, "rnn")]
    made = [make(horizon=3, training=Training(steps=2), accelerator="cpu", progress=False) for make in members]
    frame = made_frame(series=2, rows=40, freq="h")
    fitted = Ensemble(made, combine=combine, weights=[1, 2, 4]).fit(frame)
    exported = export(fitted, tmp_path / "graph", levels=LEVELS)
    assert exported.difference < CLOSE
    frame.to_csv(tmp_path / "history.csv", index=False)
    got = _script("serve.py", exported.path, tmp_path / "history.csv")
    wanted = fitted.predict(frame, levels=LEVELS)
    for name in ("forecast", "q0.1", "q0.5", "q0.9"):
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("freq", ["1", "MS", "B", "15min"])
def test_the_script_lays_every_kind_of_time(freq: str, tmp_path: Path) -> None:
    frame = made_frame(rows=90, freq=freq)
    fitted = Forecaster(
        "rnn", horizon=3, context_length=6, scaling="smoothing", training=Training(steps=2), accelerator="cpu",
        progress=False,
    ).fit(frame)  # fmt: skip
    exported = export(fitted, tmp_path / "graph", levels=LEVELS)
    newer = frame.drop(frame.index[[80, 85]])
    newer.to_csv(tmp_path / "history.csv", index=False)
    got = _script("serve.py", exported.path, tmp_path / "history.csv")
    np.testing.assert_allclose(got["forecast"], fitted.predict(newer)["forecast"], rtol=1e-5)


@pytest.mark.slow
def test_an_exported_program_of_torch_gives_the_same_numbers(tmp_path: Path) -> None:
    for model in ("lstm", "slstm", "deepar"):
        assert export(made_forecaster(model), tmp_path / "graph", format="torch_export").difference < CLOSE


def made_forecaster(
    model: Any, *, columns: Columns | None = None, frame: pd.DataFrame | None = None, fit: bool = True, **options: Any
) -> Forecaster:
    """Return a network of two steps of training on a small table, by default of whole numbers."""
    if frame is None:
        frame = _history()
        frame["z"] = frame["y"].to_numpy()[::-1].copy()
    forecaster = Forecaster(
        model,
        horizon=3,
        context_length=8,
        columns=columns or Columns(),
        training=Training(steps=2),
        accelerator="cpu",
        progress=False,
        **options,
    )
    return forecaster.fit(frame) if fit else forecaster


def _history() -> pd.DataFrame:
    frame = made_frame(rows=40, covariates=True)
    return frame.assign(y=frame["y"].round())


def _manifest(path: Path) -> dict[str, Any]:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def _script(name: str, *words: Path) -> pd.DataFrame:
    """Return the table that a script prints, in a process in which neither torch nor this package can be imported."""
    run = f"import runpy\nsys.argv = {[name, *map(str, words)]!r}\nsys.path.insert(0, {str(EXAMPLES)!r})\n"
    script = f"{BLOCKED}{run}runpy.run_path({str(EXAMPLES / name)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(StringIO(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "scaling"), [("quantile", "log"), ("poisson", "mean_abs"), ("mae", "last")])
def test_a_calibration_is_part_of_the_graph(loss: str, scaling: str, tmp_path: Path) -> None:
    frame = made_frame(rows=120).assign(y=lambda table: table.y.round())
    calibrated = Calibrated(made_forecaster("gru", fit=False, loss=loss, scaling=scaling), windows=6).fit(frame)
    exported = export(calibrated, tmp_path / "graph", levels=(0.05, 0.5, 0.93))
    assert exported.difference is not None and exported.difference < CLOSE
    plain = export(calibrated.predictor_, tmp_path / "plain", levels=(0.3, 0.5))
    assert plain.difference is not None and plain.difference < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("loss", EVENTS)
def test_probabilities_of_events_are_exported_without_levels(loss: str, tmp_path: Path) -> None:
    frame = made_frame(rows=60)
    if loss == "event":
        frame["y"] = (frame["y"] > frame["y"].median()).astype(float)
    exported = export(made_forecaster("gru", frame=frame, loss=loss), tmp_path / "graph")
    assert exported.difference is not None and exported.difference < CLOSE
    graph = _manifest(exported.path)["graphs"]["forecast"]
    assert [one["name"] for one in graph["outputs"]] == ["forecast"]


def test_a_calibration_that_no_graph_holds_is_not_lost_in_silence(tmp_path: Path) -> None:
    network = made_forecaster("gru", fit=False)
    calibrated = Calibrated(Ensemble([network, network]), windows=6).fit(made_frame(rows=120))
    with pytest.raises(ConfigError, match="calibration of an ensemble.*would be lost"):
        export(calibrated, tmp_path / "graph")
    assert not (tmp_path / "graph").exists()
