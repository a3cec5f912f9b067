"""What a saved forecaster says of itself, held against its own panel and weights: nobody vouches for any of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from forecast.batch import LONGEST, Sizes
from forecast.config import GROUPS, PACKAGES, TARGET, is_placement
from forecast.data.columns import Columns
from forecast.data.encoding import ROLES, Encoding
from forecast.data.panel import Panel
from forecast.data.windows import Windows
from forecast.errors import ArtifactError, ForecastError

# What values of other kinds and sizes than ours may end in, in torch, pandas, numpy and here.
ODD = (
    LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError, SyntaxError, RuntimeError,
    OSError, MemoryError,
)  # fmt: skip
Module = TypeVar("Module", bound=nn.Module)
MOST_CELLS = 2**28  # steps laid for all series, unless the panel itself is as large
MOST_PARTS = 256  # of a kind that a network builds one by one
LARGEST = 2**31 - 1  # of any other size or setting
SCALARS = (bool, int, float, str, type(None))


def sizes_from(values: dict[str, Any]) -> Sizes:
    """Return the sizes of a file: whole numbers, and lists of them, in the bounds of what can be built."""
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    sizes = Sizes(**given)
    for field in fields(Sizes):
        value, is_tuple = getattr(sizes, field.name), isinstance(field.default, tuple)
        _check(isinstance(value, tuple) == is_tuple, f"sizes.{field.name}")
        least = 0 if field.name in ROLES else 1
        for one in value if is_tuple else (value,):
            _check(type(one) is int and least <= one <= LARGEST, f"sizes.{field.name}")
    for name in ("context_length", "horizon", "season"):
        _check(getattr(sizes, name) <= LONGEST, f"sizes.{name}")
    return sizes


def refuse_misfits(
    parameters: dict[str, Any],
    fitted: dict[str, Any],
    encoding: Encoding,
    sizes: Sizes,
    weights: dict[str, Tensor],
    panel: Panel,
) -> None:
    """Refuse parts that contradict one another, before anything is built or allocated by them.

    Raises
    ------
    ArtifactError
        Names what does not fit.
    """
    _check(fitted["context_length"] == sizes.context_length, "fitted.context_length")
    _check(fitted["seasonality"] == sizes.season, "fitted.seasonality")
    _check(fitted["freq"] == panel.freq.name, "fitted.freq")
    _refuse_odd_parameters(parameters, sizes, panel, layers=len(weights))
    cells = (len(panel.ids) + 1) * max(sizes.context_length, sizes.horizon)
    _check(cells <= max(MOST_CELLS, 64 * len(panel.target)), "sizes.context_length")
    _refuse_odd_encoding(encoding, panel)
    told = Windows(panel.tail(1), encoding, context_length=1, horizon=1).sizes(season=sizes.season, outputs=1)
    _check(told == replace(sizes, context_length=1, horizon=1, outputs=1, embeddings=()), "sizes")
    _check(len(sizes.embeddings) in (0, len(sizes.cardinalities)), "sizes.embeddings")
    for name in ("exponent", "middle", "loc", "scale"):
        values = weights.get(f"scaler.{name}")
        if values is not None:
            _check(not values.isinf().any() and (name == "loc" or not values.isnan().any()), f"scaler.{name}")
            _check(name != "scale" or bool((values > 0).all()), f"scaler.{name}")


def filled(make: Callable[[], Module], weights: dict[str, Tensor], *, vouched: bool = False) -> Module:
    """Return a module with saved weights; it is built without memory first, and in earnest only where they fit.

    Parameters
    ----------
    make : callable
        Builds it.
    weights : dict of Tensor
        As read.
    vouched : bool
        It holds classes of the caller's own, which may not be built without memory.

    Raises
    ------
    ArtifactError
        If they do not fit, or are no numbers.
    """
    try:
        with torch.device("meta"):
            planned: nn.Module = make()
    except ForecastError:
        raise
    except ODD as error:  # of sizes beyond any memory, for one
        if not vouched:
            raise ArtifactError(f"the saved settings cannot be built: {error}. Take a whole copy.") from error
        planned = make()
    shapes = {name: tensor.shape for name, tensor in planned.state_dict().items()}
    found = {name: tensor.shape for name, tensor in weights.items()}
    different = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
    if different:
        name = different[0]
        raise ArtifactError(
            f"the saved weights do not fit the saved settings: {name!r} is {_shown(found.get(name))} and should be "
            f"{_shown(shapes.get(name))} ({len(different)} such tensors). Take a whole copy."
        )
    module = make()
    module.load_state_dict(weights)
    wrong = [name for name, values in module.named_parameters() if not values.isfinite().all()]
    if wrong:
        raise ArtifactError(f"the saved weights {wrong[0]!r} hold values that are no numbers. Take a whole copy.")
    return module


def _refuse_odd_parameters(parameters: dict[str, Any], sizes: Sizes, panel: Panel, *, layers: int) -> None:
    _check(parameters["horizon"] == sizes.horizon and type(parameters["horizon"]) is int, "parameters.horizon")
    for name, size in {"context_length": sizes.context_length, "seasonality": sizes.season}.items():
        value = parameters.get(name)
        _check(value is None or (type(value) is int and value == size), f"parameters.{name}")
    _check(type(parameters.get("seed", 0)) is int and abs(parameters.get("seed", 0)) < 2**63, "parameters.seed")
    _check(type(parameters.get("progress", True)) is bool, "parameters.progress")
    _check(Columns(**parameters["columns"]) == panel.columns, "parameters.columns")
    for group in GROUPS:
        setting = parameters[group]
        if not _is_ours(group, setting):
            continue  # the caller's own class, which must be allowed, knows its bounds
        for value in _leaves(setting):
            bounded = not isinstance(value, (int, float)) or (math.isfinite(value) and abs(value) <= LARGEST)
            _check(isinstance(value, SCALARS) and bounded, f"parameters.{group}")
        if isinstance(setting, dict):
            _refuse_many(setting, f"parameters.{group}", layers=layers)
    accelerator = parameters.get("accelerator", "auto")
    placed = isinstance(accelerator, str) or (isinstance(accelerator, dict) and is_placement(accelerator))
    _check(placed, "parameters.accelerator")


def _refuse_many(setting: dict[str, Any], group: str, *, layers: int) -> None:
    """Refuse more of what is built one by one than there can be: each of the layers has weights of its own."""
    for name, most in {"layers": layers, "dilations": MOST_PARTS, "heads": MOST_PARTS}.items():
        value = setting.get(name, 0)
        count = len(value) if isinstance(value, list) else _number(value)
        _check(count <= most, f"{group}.{name}")


def _refuse_odd_encoding(encoding: Encoding, panel: Panel) -> None:
    kinds = [*encoding.categories, *encoding.statistics]
    _check(len(set(kinds)) == len(kinds) and set(kinds) == set(panel.columns.covariates), "covariates")
    for mean, deviation in encoding.statistics.values():
        _check(math.isfinite(mean) and math.isfinite(deviation) and deviation > 0, "statistics")
    for names in (encoding.ids, encoding.calendar, encoding.holiday_names, *encoding.categories.values()):
        _check(all(isinstance(name, str) for name in names) and len(set(names)) == len(names), "names")
    _check(isinstance(encoding.holidays, (str, type(None))), "holidays")


def _is_ours(group: str, setting: Any) -> bool:
    """Return whether a setting is built without a word of the caller; one that names no class is refused as ours."""
    target = setting.get(TARGET) if isinstance(setting, dict) else None
    return not isinstance(target, str) or target.startswith(f"{PACKAGES[group]}.")


def _leaves(setting: Any) -> list[Any]:
    """Return what stands in lists and dicts, however deep; a file's own depth is bounded."""
    if isinstance(setting, dict):
        return [leaf for value in setting.values() for leaf in _leaves(value)]
    if isinstance(setting, (list, tuple)):
        return [leaf for value in setting for leaf in _leaves(value)]
    return [setting]


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0


def _shown(shape: torch.Size | None) -> str:
    return "absent" if shape is None else f"of shape {tuple(shape)}"


def _check(fits: bool, what: str) -> None:
    if not fits:
        raise ArtifactError(f"its parts contradict one another, or are out of bounds: {what}.")
