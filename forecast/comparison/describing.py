"""Objects as plain values: what they are and what they hold, so that two of them with the same words forecast alike.

What this package knows is described by its settings. Anything else is taken apart as pickling does it, by what it
would be rebuilt from, but nothing is ever rebuilt: sets and dicts are put in order, so that the same object has the
same words in another process. What cannot be taken apart gets words that no other object has, ever.
"""

from __future__ import annotations

import copyreg
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import torch

from forecast.comparison.hashing import array_digest, digest
from forecast.comparison.sources import PLAIN, is_installed, is_own, members_of, named_class, path_of, source_of
from forecast.config import GROUPS, TARGET, settings
from forecast.data.columns import Columns
from forecast.ensemble import Ensemble
from forecast.forecaster import Forecaster
from forecast.parameters import accelerator_of, completed
from forecast.predictor import Predictor
from forecast.training.settings import Training

SILENT = {Forecaster: ("progress",), Ensemble: ("processes",)}  # move no forecast
UNTOLD = "_cannot_be_told_apart_"
Described = Any


def described(value: Any, *, without: tuple[str, ...] = ()) -> Described:
    """Return a setting, or an object with settings, as plain values; `without` some settings of forecasters.

    Of classes that are not this package's own the source counts too, where it can be read, and that of their parents:
    what was computed with other code is computed again.
    """
    try:
        return _Words(without).of(value)
    except RecursionError:
        return untold(f"{type(value).__name__} is nested too deep")


def untold(reason: str) -> Described:
    """Return the words of what cannot be told from others, and why: no other object has them."""
    return {UNTOLD: [reason, uuid4().hex]}


def reason_untold(plain: Described) -> str:
    """Return why plain values belong to what cannot be told from others; "" where they do not."""
    if isinstance(plain, dict):
        return plain[UNTOLD][0] if UNTOLD in plain else next(filter(None, map(reason_untold, plain.values())), "")
    return next(filter(None, map(reason_untold, plain)), "") if isinstance(plain, list) else ""


class _Words:
    """The words of one object; what it holds twice, or what holds itself, is named by its number the second time."""

    def __init__(self, without: tuple[str, ...]) -> None:
        self.without = without
        self.seen: dict[int, tuple[int, Any]] = {}  # with the object, whose id another could have once it is gone
        self.open: list[int] = []

    def of(self, value: Any) -> Described:
        """Return plain values of anything."""
        if value is None or isinstance(value, PLAIN) and not isinstance(value, np.generic):
            return value
        if isinstance(value, bytes | bytearray):
            return {type(value).__name__: digest(value.hex())}
        if isinstance(value, np.generic):
            plain = value.item()
            return plain if isinstance(plain, PLAIN) else {"dtype": str(value.dtype), "value": array_digest(value)}
        if type(value) is np.ndarray:
            return self._of_array(value)
        if isinstance(value, Columns):
            return value.as_dict()
        if type(value) in (list, tuple, dict, set, frozenset):
            return self._of_container(value)
        return self._once(value)

    def _once(self, value: Any) -> Described:
        if id(value) in self.seen:
            return {"again": self.seen[id(value)][0]}
        if isinstance(value, type):
            return self._of_class(value)
        self.seen[id(value)] = (len(self.seen), value)
        if isinstance(value, Predictor):
            return self._of_predictor(value)
        if isinstance(value, Training):
            return self.of(value.get_params())
        if isinstance(value, partial):
            return {"partial": self.of(value.func), "args": self.of(list(value.args)), **self.of(value.keywords)}
        if isinstance(value, torch.Tensor):
            return self._of_tensor(value)
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return self._of_table(value)
        if isinstance(value, FunctionType | MethodType | CodeType | ModuleType | BuiltinFunctionType):
            return self._of_code(value)
        return self._of_object(value)

    def _of_container(self, value: Any) -> Described:
        if id(value) in self.open:
            return {"within": self.open.index(id(value))}
        self.open.append(id(value))
        try:
            if isinstance(value, list | tuple):
                return [self.of(own) for own in value]
            if isinstance(value, set | frozenset):
                return {"set": sorted((self.of(own) for own in value), key=digest)}
            if all(isinstance(name, str) for name in value):
                named = {name: self.of(own) for name, own in value.items()}
                return {**named, **self._of_named(value[TARGET])} if TARGET in value else named
            return {"dict": sorted(([self.of(name), self.of(own)] for name, own in value.items()), key=digest)}
        finally:
            self.open.pop()

    def _of_array(self, value: np.ndarray) -> Described:
        if value.dtype.hasobject:
            return {"dtype": str(value.dtype), "shape": list(value.shape), "values": self.of(value.tolist())}
        return array_digest(value)

    def _of_tensor(self, value: torch.Tensor) -> Described:
        try:
            numbers = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
            content = array_digest(numbers.reshape(-1).view(torch.uint8).numpy())
        except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised, or of no device
            return untold("a tensor that is not dense")
        kind = [str(value.dtype), list(value.shape), value.requires_grad]
        return {TARGET: path_of(type(value)), "kind": kind, "values": content}

    def _of_table(self, value: pd.DataFrame | pd.Series | pd.Index) -> Described:
        if isinstance(value, pd.DataFrame):
            columns = [self.of(value.iloc[:, place]) for place in range(value.shape[1])]
            return {"names": self.of(value.columns), "index": self.of(value.index), "columns": columns}
        told = {"names": self.of(list(value.index.names if isinstance(value, pd.Series) else value.names))}
        if isinstance(value, pd.Series):
            told = {"name": self.of(value.name), "index": self.of(value.index)}
        dtype = self.of(value.dtype) if isinstance(value.dtype, pd.CategoricalDtype) else str(value.dtype)
        return {**told, "dtype": dtype, "values": self.of(np.asarray(value))}

    def _of_predictor(self, predictor: Predictor) -> Described:
        """Return settings, and what was learned where it is fitted: an adapter may hand it on."""
        given = predictor.get_params(deep=False)
        silent = [name for kind, names in SILENT.items() if isinstance(predictor, kind) for name in names]
        silent += self.without if isinstance(predictor, Forecaster) else ()
        told = self.of({name: own for name, own in given.items() if name not in silent})
        if isinstance(predictor, Forecaster):
            told |= self._of_forecaster(predictor, given)
        learned = {name: own for name, own in vars(predictor).items() if name not in given}
        return {**self._of_class(type(predictor)), **told, **({"learned": self.of(learned)} if learned else {})}

    def _of_forecaster(self, forecaster: Forecaster, given: dict[str, Any]) -> dict[str, Any]:
        """Return what a forecaster is made of, whether named, written out, or left to what goes with its model."""
        made = completed(given)
        resolved = {group: self._of_setting(group, made[group]) for group in GROUPS}
        training = (given["training"] or Training()).get_params()
        optimizer = self._of_setting("optimizer", training["optimizer"])
        resolved["training"] = {**self.of(training), "optimizer": optimizer}
        return {**resolved, "accelerator": self.of(accelerator_of(given["accelerator"]))}

    def _of_setting(self, group: str, setting: Any) -> Described:
        kind = setting.func if isinstance(setting, partial) else setting
        return {**self.of(settings(group, setting)), **(self._of_class(kind) if isinstance(kind, type) else {})}

    def _of_class(self, kind: type) -> dict[str, Any]:
        """Return the path of a class, the source of it and its parents, and what their functions hold."""
        told = {TARGET: path_of(kind), **_code(kind)}
        if id(kind) in self.seen:
            return told
        self.seen[id(kind)] = (len(self.seen), kind)
        members = members_of(kind)
        return {**told, "members": digest_or_untold(self.of(members))} if members else told

    def _of_named(self, path: object) -> dict[str, Any]:
        """Return what the code of a class that is named is known by, unless it is a library's."""
        kind = named_class(path)
        return {} if kind is None or is_installed(kind.__module__) else self._of_class(kind)

    def _of_code(self, value: Any) -> Described:
        if isinstance(value, ModuleType):
            return {"module": value.__name__}
        if isinstance(value, CodeType):
            names = [*value.co_names, *value.co_varnames, *value.co_freevars]
            return {"bytes": value.co_code.hex(), "names": names, "consts": self.of(value.co_consts)}
        if isinstance(value, FunctionType):
            cells = [_content(cell) for cell in value.__closure__ or ()]
            held = [cells, value.__defaults__, value.__kwdefaults__, vars(value)]
            known = is_own(value) or is_installed(value.__module__)
            code = {} if known else {"code": digest_or_untold(self.of(value.__code__))}
            return {TARGET: path_of(value), **code, **({"held": self.of(held)} if any(held) else {})}
        function = self.of(value.__func__) if isinstance(value, MethodType) else value.__qualname__
        return {"method": function, "self": self.of(value.__self__)}

    def _of_object(self, value: Any) -> Described:
        """Return what an object would be rebuilt from."""
        kind = type(value)
        try:
            reduce = copyreg.dispatch_table.get(kind)
            parts = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception as error:  # whatever a class of the user's own answers
            return untold(f"{kind.__name__} cannot be pickled: {str(error).partition(chr(10))[0]}")
        if isinstance(parts, str):  # a global name; of a function with wrappers what it wraps counts
            told = {**self._of_class(kind), "global": f"{getattr(value, '__module__', '')}.{parts}"}
            return {**told, "wrapped": self.of(value.__wrapped__)} if hasattr(value, "__wrapped__") else told
        made, arguments, *rest = parts
        state, items, pairs = (*rest, None, None, None)[:3]
        is_plain = made is copyreg.__newobj__ and len(arguments) == 1  # type: ignore[attr-defined]
        rebuilt = [] if is_plain else [made, *arguments]
        held = [rebuilt, list(items or ()), [list(pair) for pair in pairs or ()]]
        return {**self._of_class(kind), "state": self.of(state), **({"held": self.of(held)} if any(held) else {})}


def digest_or_untold(plain: Described) -> Described:
    """Return plain values in short, unless they belong to what cannot be told from others."""
    reason = reason_untold(plain)
    return untold(reason) if reason else digest(plain)


def _code(kind: type | None) -> dict[str, str]:
    source = source_of(kind) if kind is not None else ""
    return {"code": source} if source else {}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
