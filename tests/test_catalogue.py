"""The catalogue: every data set is what its yaml says, and both ways to a public table end in the same frame."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import forecast
from forecast import Columns, load_data
from forecast.config import conf_folder
from forecast.data.catalogue import data_names, data_settings, place_of
from forecast.data.laying import laid
from forecast.data.parsing import PARSERS, parsed
from forecast.data.public import FOLDER, at_hand, check_public, public_table
from forecast.errors import AbsentError, ConfigError, DataError
from forecast.evaluation.origins import usual_split
from forecast.schema import register
from forecast.search_path import own_folders, without_folders

PUBLIC = [name for name in data_names() if data_settings(name)["public"] is not None]
OWN = [name for name in data_names() if name not in PUBLIC]
AT_HAND = os.environ.get(FOLDER)
needs_files = pytest.mark.skipif(not AT_HAND, reason=f"{FOLDER} names no folder of public data sets")
R_FILES = {"aus_retail", "gafa_stock", "orange_juice", "car_parts", "nn5"}


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setenv("FORECAST_CACHE", str(tmp_path / "cache"))


def test_the_public_benchmarks_are_there() -> None:
    assert set(PUBLIC) == {
        *("m4_hourly", "m4_weekly", "etth1", "etth1_channels", "exchange_rate", "stocks_daily", "stocks_monthly"),
        *("seattle_weather", "temps", "aus_retail", "oj_sales", "car_parts", "nn5_daily"),
    }


@pytest.mark.parametrize("name", data_names())
def test_every_data_set_tells_what_it_is_and_on_what_terms(name: str) -> None:
    known = data_settings(name)
    assert known["about"].endswith(".") and known["licence"] and known["citation"]
    assert known["split"] in (None, "calendar", "series_end")
    assert known["size"]["series"] > 0 and known["size"]["rows"] > 0
    assert known["horizon"] not in known["horizons"] and all(horizon > 0 for horizon in known["horizons"])


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_table_is_pinned_to_a_commit(name: str) -> None:
    public = data_settings(name)["public"]
    check_public(public)
    assert public["parser"] in PARSERS
    for remote in public["files"].values():
        assert remote["address"].startswith("https://raw.githubusercontent.com/")


@pytest.mark.parametrize("name", [*OWN, *(pytest.param(name, marks=needs_files) for name in PUBLIC)])
def test_every_table_has_the_size_and_the_columns_that_its_file_says(name: str) -> None:
    known, data = data_settings(name), load_data(name, fetch=False)
    ids = data.frame[data.columns.id]
    assert known["size"] == {"series": ids.nunique(), "rows": len(data.frame)}
    roles = (data.columns.id, data.columns.time, *data.columns.targets, *data.columns.covariates)
    assert set(roles) <= set(data.frame.columns)
    targets = data.frame[list(data.columns.targets)]
    lowest = [-np.inf if value is None else value for value in data.columns.minima]
    assert (targets.min().to_numpy() >= lowest).all()
    assert data.horizon is not None and ids.value_counts().max() > data.horizon


@needs_files
@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_table_lies_on_the_grid_that_its_file_names(name: str) -> None:
    data = load_data(name, fetch=False)
    few = data.frame[data.frame[data.columns.id].isin(data.frame[data.columns.id].unique()[:3])]
    panel = laid(few, data.columns, freq=data.freq)
    assert usual_split(panel) == data.split and len(panel.ids) == few[data.columns.id].nunique()


def test_a_data_set_that_ships_is_loaded_with_what_is_known_of_it() -> None:
    data = load_data("weather")
    assert data.name == data.title == "weather" and len(data.frame) == 1461
    assert (data.columns.id, data.columns.target, data.columns.unit) == ("station", "temp_max", ("°C",))
    assert (data.freq, data.horizon, data.split) == ("D", 14, None)


def test_a_data_set_that_begins_with_another_changes_what_it_says_otherwise() -> None:
    first, second = load_data("weather"), load_data("weather_joint")
    assert second.columns.targets == ("temp_max", "temp_min", "wind", "precipitation")
    assert second.columns.id == first.columns.id and second.licence == first.licence
    pd.testing.assert_frame_equal(first.frame, second.frame)


@pytest.mark.parametrize("name", ["m4_hurly", "../data/sales"])
def test_an_unknown_name_lists_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no data .*Choose one of: .*m4_hourly"):
        load_data(name)


def test_both_public_names_of_the_package_are_lazy() -> None:
    assert forecast.load_data is load_data and forecast.DataSet.__name__ == "DataSet"


@needs_files
def test_training_and_test_file_of_the_competition_are_one_table() -> None:
    folder, data = Path(str(AT_HAND)), load_data("m4_hourly", fetch=False)
    keys = [Columns.id, Columns.time]
    test = pd.read_parquet(folder / "m4_hourly_test.parquet").sort_values(keys, ignore_index=True)
    last = data.frame.groupby(Columns.id).tail(48).reset_index(drop=True)
    pd.testing.assert_frame_equal(last, test)
    steps = data.frame.groupby(Columns.id)[Columns.time]
    assert (steps.min() == 1).all() and (steps.max() == steps.size()).all()


@needs_files
@pytest.mark.parametrize(("name", "published"), [("m4_hourly", (13.912, 1.193)), ("m4_weekly", (9.161, 2.777))])
def test_seasonal_naive_has_the_scores_that_the_competition_published(
    name: str, published: tuple[float, float]
) -> None:
    """Horizon, season and MASE's scale are those of M4, and so are the values."""
    data = load_data(name, fetch=False)
    assert data.horizon and data.seasonality and data.mase_season
    percent, scaled = [], []
    for _, rows in data.frame.groupby(data.columns.id):
        values = rows["y"].to_numpy()
        known, truth = values[: -data.horizon], values[-data.horizon :]
        forecast = np.resize(known[-data.seasonality :], data.horizon)
        scale = np.abs(known[data.mase_season :] - known[: -data.mase_season]).mean()
        percent.append(200 * np.mean(np.abs(truth - forecast) / (np.abs(truth) + np.abs(forecast))))
        scaled.append(np.abs(truth - forecast).mean() / scale)
    assert (np.mean(percent), np.mean(scaled)) == pytest.approx(published, abs=5e-4)


@pytest.mark.usefixtures("offline")
def test_what_is_at_hand_nowhere_is_to_be_fetched() -> None:
    assert place_of(data_settings("temps")) == "to fetch"
    with pytest.raises(DataError, match="the public table 'temps' is not at hand. .*--folder FOLDER"):
        load_data("temps", fetch=False)


@pytest.mark.usefixtures("offline")
def test_the_folder_of_the_environment_is_looked_into_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = data_settings("temps")["public"]
    own = pd.DataFrame({"unique_id": ["a"], "ds": [1], "y": [2.0]})
    own.to_parquet(tmp_path / "temps.parquet")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert at_hand(public) == [tmp_path / "temps.parquet"]
    pd.testing.assert_frame_equal(load_data("temps").frame, own)


@pytest.mark.usefixtures("offline")
def test_tables_under_names_of_ones_own_are_the_same_from_one_file_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"shop": ["b", "a", "a", "b"], "day": [2, 1, 2, 1], "sold": [1.0, 2.0, 3.0, 4.0]})
    parts = {"late": frame.iloc[:1], "early": frame.iloc[1:]}
    for name, part in parts.items():
        part.to_csv(tmp_path / f"{name}.csv", index=False)
        part.to_parquet(tmp_path / f"{name}.parquet", index=False)
    pinned = {"address": "https://example.org/a.csv", "bytes": 1, "sha256": "0" * 64}
    public = {"table": "shops", "parser": "table", "files": dict.fromkeys(parts, pinned)}
    monkeypatch.setenv(FOLDER, str(tmp_path))
    found = public_table(public, fetch=False)
    pd.testing.assert_frame_equal(found, frame)
    pd.testing.assert_frame_equal(found, parsed("table", {name: tmp_path / f"{name}.csv" for name in parts}))


# --- parsers, on files written as the sources write theirs ---


def _m4(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    steps = {"train": frame[frame["ds"] <= 3], "test": frame[frame["ds"] > 3]}
    for name, rows in steps.items():
        wide = rows.assign(column=rows.groupby("unique_id").cumcount()).pivot(
            index="unique_id", columns="column", values="y"
        )
        wide = wide.iloc[::-1]  # H10 does not follow H1 in the source
        wide.columns = pd.Index([f"V{number}" for number in range(2, 2 + wide.shape[1])])
        wide.rename_axis("V1").to_csv(folder / f"{name}.csv", quoting=2)
    return {name: folder / f"{name}.csv" for name in steps}


def _ett(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    raw = frame.drop(columns="unique_id").rename(columns={"ds": "date", "y": "OT"})
    raw = raw[[*(name for name in raw if name != "OT"), "OT"]]
    raw.to_csv(folder / "0123456789abcdef-ETTh1.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")
    return {"etth1": folder / "0123456789abcdef-ETTh1.csv"}


def _exchange_rate(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    wide = frame.pivot(index="ds", columns="unique_id", values="y")
    with gzip.open(folder / "exchange_rate.txt.gz", "wt", encoding="utf-8") as file:
        wide.to_csv(file, header=False, index=False)
    return {"exchange_rate": folder / "exchange_rate.txt.gz"}


def _vega_stocks(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    raw = pd.DataFrame(
        {"symbol": frame["unique_id"], "date": frame["ds"].dt.strftime("%b 1 %Y"), "price": frame["y"]}
    ).iloc[::-1]
    raw.to_csv(folder / "stocks.csv", index=False)
    return {"stocks": folder / "stocks.csv"}


def _vega_weather(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    raw = frame.rename(columns={"ds": "date", "y": "temp_max"})
    raw = raw[["date", "precipitation", "temp_max", "temp_min", "wind", "weather"]]
    raw.to_csv(folder / "seattle-weather.csv", index=False, date_format="%Y/%m/%d")
    return {"weather": folder / "seattle-weather.csv"}


def _melbourne(folder: Path, frame: pd.DataFrame) -> dict[str, Path]:
    raw = pd.DataFrame({"Date": frame["ds"].dt.strftime("%Y-%m-%d"), "Temp": frame["y"]})
    raw.to_csv(folder / "temps.csv", index=False, quoting=2)
    return {"temps": folder / "temps.csv"}


WRITERS: dict[str, Callable[[Path, pd.DataFrame], dict[str, Path]]] = {
    "m4_hourly": _m4,
    "etth1": _ett,
    "exchange_rate": _exchange_rate,
    "stocks_monthly": _vega_stocks,
    "seattle_weather": _vega_weather,
    "temps": _melbourne,
}


@needs_files
@pytest.mark.parametrize("name", WRITERS)
def test_a_parsed_source_is_the_frame_of_the_folder(name: str, tmp_path: Path) -> None:
    whole = load_data(name, fetch=False).frame
    few = whole[whole["unique_id"].isin(whole["unique_id"].unique()[[0, -1]])] if name != "exchange_rate" else whole
    part = few.groupby("unique_id").head(6).reset_index(drop=True)
    own = parsed(data_settings(name)["public"]["parser"], WRITERS[name](tmp_path, part))
    own.to_parquet(tmp_path / "kept.parquet", index=False)
    pd.testing.assert_frame_equal(own, part)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "kept.parquet"), part)


def test_a_csv_of_ones_own_is_a_public_table_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("shop,day,sold\n001,2024-01-01,3\n", encoding="utf-8")
    frame = parsed("table", {"a": tmp_path / "a.csv"})
    assert list(frame.columns) == ["shop", "day", "sold"] and frame["sold"].tolist() == [3]


# --- R files: what the package rdata would give for them, without the classes of R ---


def _days(frame: pd.DataFrame) -> np.ndarray:
    return (frame["ds"] - pd.Timestamp("1970-01-01")).dt.days.to_numpy(dtype=float)


def _aus_retail(frame: pd.DataFrame) -> Any:
    return {
        "State": frame["state"].to_numpy(dtype=object),
        "Industry": frame["industry"].to_numpy(dtype=object),
        "Series ID": frame["series_id"].to_numpy(dtype=object),
        "Month": _days(frame),
        "Turnover": frame["y"].to_numpy(),
    }


def _gafa_stock(frame: pd.DataFrame) -> Any:
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "y", "Adj_Close": "adj_close", "Volume": "volume"}
    own = {name: frame[column].to_numpy() for name, column in names.items()}
    return {"Symbol": frame["unique_id"].to_numpy(dtype=object), "Date": _days(frame), **own}


def _orange_juice(frame: pd.DataFrame) -> Any:
    prices = {f"price{number}": frame[f"price{number}"].to_numpy(dtype=np.float64) for number in range(1, 12)}
    for row, brand in enumerate(frame["brand"]):
        prices[f"price{brand}"][row] = frame["price"].iloc[row]  # which the folder has in full
    own = {"store": "store", "brand": "brand", "week": "ds", "deal": "deal", "feat": "feature", "profit": "profit"}
    rows = {name: frame[column].to_numpy() for name, column in own.items()}
    return {"yx": {**rows, "logmove": np.log(frame["y"].to_numpy()), "constant": np.ones(len(frame)), **prices}}


def _car_parts(frame: pd.DataFrame) -> Any:
    wide = frame.pivot(index="ds", columns="unique_id", values="y").iloc[:, ::-1]

    class Matrix(SimpleNamespace):
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return wide.to_numpy(dtype=dtype)

    return Matrix(dims=("dim_0", "dim_1"), coords={"dim_1": wide.columns.to_numpy(dtype=object)})


def _nn5(frame: pd.DataFrame) -> Any:
    return {name: own["y"].to_numpy() for name, own in frame.groupby("unique_id")}


OBJECTS: dict[str, tuple[str, Callable[[pd.DataFrame], Any]]] = {
    "aus_retail": ("aus_retail", _aus_retail),
    "stocks_daily": ("gafa_stock", _gafa_stock),
    "oj_sales": ("orangeJuice", _orange_juice),
    "car_parts": ("carparts", _car_parts),
    "nn5_daily": ("nn5", _nn5),
}


@needs_files
@pytest.mark.parametrize("name", OBJECTS)
def test_a_parsed_r_file_is_the_frame_of_the_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_data(name, fetch=False).frame
    part = whole[whole["unique_id"].isin(whole["unique_id"].unique()[[0, -1]])].reset_index(drop=True)
    label, write = OBJECTS[name]
    package = ModuleType("rdata")
    package.read_rda = lambda file, **options: {label: write(part)}  # type: ignore[attr-defined]
    package.__spec__ = SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "rdata", package)
    parser = data_settings(name)["public"]["parser"]
    assert parser in R_FILES
    pd.testing.assert_frame_equal(parsed(parser, {name: tmp_path / "file.rda"}), part)


@pytest.mark.parametrize("parser", sorted(R_FILES))
def test_an_r_file_without_its_package_says_what_to_install(
    parser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecast.data.parsing.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install rdata"):
        parsed(parser, {"a": tmp_path / "a.rda"})


def test_an_unknown_parser_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no parser of data.public 'm5'. Choose one of: m4, "):
        parsed("m5", {"a": tmp_path})


# --- data sets of one's own ---


def _own(folder: Path, file: str, /, **content: Any) -> Path:
    path = folder / "data" / f"{file}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def test_a_yaml_in_a_folder_of_ones_own_is_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "sold.csv").write_text("shop,day,sold\nx,2024-01-01,3\nx,2024-01-02,4\n", encoding="utf-8")
    roles = {"id": "shop", "time": "day", "target": "sold"}
    folder = _own(tmp_path / "conf", "mine", path=str(tmp_path / "sold.csv"), columns=roles, horizon=7, minimum=0)
    assert "mine" in data_names(folder) and "mine" not in data_names()
    data = load_data("mine", config_dir=folder)
    assert (data.columns.target, data.columns.minimum, data.horizon) == ("sold", 0, 7)
    assert data.frame["sold"].tolist() == [3, 4]
    assert place_of(data_settings("mine", config_dir=[folder])) == "here"


def test_a_data_set_of_ones_own_begins_with_one_that_ships(tmp_path: Path) -> None:
    folder = _own(tmp_path, "wind", defaults=["weather"], name="wind", columns={"target": "wind"})
    data = load_data("wind", config_dir=folder)
    assert (data.columns.target, data.columns.unit, data.columns.id) == ("wind", ("m/s",), "station")


def test_ours_counts_where_two_data_sets_have_one_name(tmp_path: Path) -> None:
    """As for Hydra, where --config-dir comes last."""
    assert load_data("sales", config_dir=_own(tmp_path, "sales", path="other.csv")).title == "sales"
    assert data_settings("sales", config_dir=tmp_path)["path"] is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"pth": "a.csv"}, "holds what is no setting of a data set: .*pth"),
        ({"horizon": "soon"}, "holds what is no setting of a data set: .*soon"),
        ({"public": {"table": "a", "parser": "table", "files": {"a": {"address": "https://a"}}}}, "Missing mandatory"),
        ({"defaults": [{"override /model": "gru"}]}, "a data set begins with names of other ones"),
        ({"defaults": ["mine"]}, "there is no data 'mine'"),
    ],
)
def test_a_yaml_that_makes_no_data_set_is_refused(tmp_path: Path, content: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_data("mine", config_dir=_own(tmp_path, "mine", **content))


def test_a_yaml_that_names_no_file_that_is_there_is_told(tmp_path: Path) -> None:
    folder = _own(tmp_path, "mine", path=str(tmp_path / "none.csv"))
    assert place_of(data_settings("mine", config_dir=folder)) == "no such file"
    with pytest.raises(AbsentError, match="there is no file"):
        load_data("mine", config_dir=folder)


@pytest.mark.parametrize(
    ("line", "folders", "others"),
    [
        ("train data=mine --config-dir own", ["own"], ["train", "data=mine"]),
        ("--config-dir=own horizon=3", ["own"], ["horizon=3"]),
        ("-cd own -cd=two", ["own", "two"], []),
        ("hydra.searchpath=[file://own,pkg://forecast]", ["own"], []),
        ("+hydra.searchpath=[own,two] a=1", ["own", "two"], ["a=1"]),
        ("data=mine hydra.run.dir=x", [], ["data=mine", "hydra.run.dir=x"]),
    ],
)
def test_folders_of_ones_own_are_read_off_the_words(line: str, folders: list[str], others: list[str]) -> None:
    words = line.split()
    assert own_folders(words) == [Path(folder) for folder in folders]
    assert without_folders(words) == ([word for word in words if word not in others], others)


@pytest.mark.parametrize("name", ["sales", "weather_joint", "m4_hourly", "etth1_channels", "mine"])
def test_python_reads_a_data_set_as_hydra_does(name: str, tmp_path: Path) -> None:
    own = _own(
        tmp_path, "mine", defaults=["weather"], columns={"target": "wind"}, horizon=3, horizons=["${data.horizon}"]
    )
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        composed = compose("train", [f"hydra.searchpath=[file://{own}]", f"data={name}"])
    GlobalHydra.instance().clear()
    assert OmegaConf.to_container(composed.data, resolve=True) == data_settings(name, config_dir=own)
