"""Every yaml of conf/ builds and runs one batch; names and settings that do not exist list those that do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from batches import WIDE, made_batch

from forecast.batch import Sizes
from forecast.config import AUTO, PACKAGES, TARGET, build, conf_folder, name_of, names, read, settings, usual
from forecast.errors import ConfigError
from forecast.losses import LEVELS, PointLoss, Quantile
from forecast.model import Model
from forecast.networks.recurrent import Recurrent
from forecast.scaling import WindowScaler

GROUPS = ("model", "loss", "scaling")
EVERY = [(group, name) for group in GROUPS for name in names(group) if name != AUTO]


class AnyOptions:
    """Takes whatever it is given."""

    def __init__(self, sizes: Sizes, **options: Any) -> None:
        self.options = options


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_every_setting_trains_and_forecasts_one_batch(group: str, name: str) -> None:
    chosen = {"model": "gru", "loss": "quantile", "scaling": "window", group: name}
    if group == "model":
        chosen |= {"loss": usual("loss", name), "scaling": usual("scaling", name)}
    if group == "loss":
        chosen["scaling"] = usual("scaling", "gru", loss=name)
    loss, scaler = build("loss", chosen["loss"]), build("scaling", chosen["scaling"])
    sizes = Sizes(**{**vars(WIDE), "outputs": loss.outputs})
    loss.prepare(sizes), scaler.prepare(sizes)
    model = Model(build("model", chosen["model"], sizes), scaler, loss)
    inputs, outcome = made_batch(sizes)
    if loss.from_zero:
        outcome = outcome._replace(target=outcome.target.round())
    levels = () if loss.is_event else LEVELS
    value = model.training_loss(inputs, outcome)
    value.backward()
    assert value.shape == () and value.isfinite()
    if isinstance(loss, PointLoss):
        model.calibrate(inputs, outcome)
    forecast = model.eval().forecast(inputs, levels)
    assert forecast.shape == (5, sizes.horizon, 1, 1 + len(levels)) and forecast.isfinite().all()
    assert (forecast[..., 1:].diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("name", names("optimizer"))
def test_every_optimizer_takes_a_step(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = build("optimizer", name, [weight], lr=0.1)
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_every_yaml_names_a_class_of_its_package_and_every_argument_that_matters(group: str, name: str) -> None:
    values = read(group, name)
    assert values[TARGET].startswith(PACKAGES[group] + ".")
    assert read(group, name) is not values


@pytest.mark.parametrize("name", names("accelerator"))
def test_every_accelerator_names_what_the_trainer_takes(name: str) -> None:
    assert set(read("accelerator", name)) == {"accelerator", "devices", "precision"}


@pytest.mark.parametrize("group", ["model", "loss", "scaling", "optimizer", "accelerator"])
def test_names_are_the_files_of_the_folder(group: str) -> None:
    files = sorted(Path(conf_folder() / group).glob("*.yaml"))
    assert names(group) == [path.stem for path in files] and files
    assert all(isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict) for path in files)


@pytest.mark.parametrize("name", ["gruu", "../loss/mae", "", None, 3])
def test_an_unknown_name_lists_those_there_are(name: object) -> None:
    with pytest.raises(ConfigError, match=r"there is no model .*Choose one of: .*lstm"):
        read("model", name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("lstm", "lstm"),
        (read("model", "bigru"), "bigru"),
        ({**read("model", "gru"), "hidden_size": 4, "layers": 3}, "gru"),
        ({**read("model", "gru"), "cell": "lstm"}, "lstm"),
        (partial(Recurrent, cell="gru"), "Recurrent"),
    ],
)
def test_a_setting_goes_by_the_nearest_file_that_has_its_options(setting: Any, name: str) -> None:
    assert name_of("model", setting) == name


@pytest.mark.parametrize(
    ("group", "setting", "nearest"),
    [
        ("model", {"_target_": "forecast.networks.recurrent.Recurrent", "hiden_size": 3}, "hidden_size"),
        ("model", partial(Recurrent, drop=0.1), "dropout"),
        ("loss", {"_target_": "forecast.losses.points.Huber", "delt": 2}, "delta"),
        ("scaling", {"_target_": "forecast.scaling.WindowScaler", "transforms": "log"}, "transform"),
    ],
)
def test_an_unknown_setting_names_the_nearest(group: str, setting: Any, nearest: str) -> None:
    args = [WIDE] if group == "model" else []
    with pytest.raises(ConfigError, match=rf"there is no setting .*Choose one of: {nearest}"):
        build(group, setting, *args)


def test_optimizers_do_not_offer_what_training_sets_itself() -> None:
    with pytest.raises(ConfigError) as caught:
        build(
            "optimizer",
            {"_target_": "torch.optim.Adam", "beta": 1},
            [torch.nn.Parameter(torch.ones(1))],
            lr=0.1,
        )
    offered = str(caught.value).split("Choose one of: ")[1].rstrip(".").split(", ")
    assert "betas" in offered and not {"params", "lr"} & set(offered)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("mae", {"_target_": "forecast.losses.points.MAE"}),
        (Quantile, {"_target_": "forecast.losses.quantile.Quantile"}),
        (partial(Quantile, levels=[0.2]), {"_target_": "forecast.losses.quantile.Quantile", "levels": [0.2]}),
        ({"_target_": "forecast.losses.points.MAE"}, {"_target_": "forecast.losses.points.MAE"}),
    ],
)
def test_a_setting_is_a_name_a_class_a_partial_or_a_dict(setting: Any, expected: dict[str, Any]) -> None:
    assert settings("loss", setting) == expected
    assert type(build("loss", setting)).__name__ == expected["_target_"].rsplit(".")[-1]


@pytest.mark.parametrize("setting", [None, 5, ["mae"], {"levels": [0.5]}, Quantile()])
def test_anything_else_is_refused(setting: Any) -> None:
    with pytest.raises(ConfigError, match="a loss is a name"):
        build("loss", setting)


def test_arguments_of_a_partial_without_a_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="by keyword"):
        build("model", partial(Recurrent, WIDE), WIDE)


def test_a_class_of_ones_own_may_take_any_options() -> None:
    assert build("model", partial(AnyOptions, width=3), WIDE).options == {"width": 3}


@pytest.mark.parametrize("target", ["os.system", "builtins.eval", "torch.nn.Linear", "forecast.scaling.Scaler"])
def test_a_file_builds_nothing_from_elsewhere(target: str) -> None:
    with pytest.raises(ConfigError, match=f"{target}.*is no loss of forecast.losses"):
        build("loss", {"_target_": target})


def test_a_class_is_built_by_name_where_it_is_allowed() -> None:
    setting = {"_target_": f"{__name__}.AnyOptions"}
    with pytest.raises(ConfigError, match="nothing else is built"):
        build("model", setting, WIDE)
    assert isinstance(build("model", setting, WIDE, allow=[AnyOptions]), AnyOptions)


@pytest.mark.parametrize(
    ("group", "setting"),
    [
        ("model", {"_target_": "forecast.networks.recurrent.Recurrent", "cell": "elman"}),
        ("scaling", {"_target_": "forecast.scaling.WindowScaler", "transform": "sqrt"}),
        ("loss", {"_target_": "forecast.losses.quantile.Quantile", "levels": [1.5]}),
    ],
)
def test_values_that_make_no_sense_are_refused(group: str, setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="elman|sqrt|1.5"):
        build(group, setting, *([WIDE] if group == "model" else []))


@pytest.mark.parametrize(("name", "value"), [("hidden_size", "abc"), ("layers", 0), ("dropout", "much")])
def test_what_a_constructor_cannot_take_names_its_class(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match="^Recurrent: "):
        build("model", {**read("model", "gru"), name: value}, WIDE)


def test_settings_of_a_file_are_not_shared() -> None:
    first = {"_target_": "forecast.scaling.WindowScaler", "transform": "log"}
    assert isinstance(build("scaling", first), WindowScaler)
    assert first == {"_target_": "forecast.scaling.WindowScaler", "transform": "log"}
