"""Tensors and plain values, nested in any way, as one safetensors file: reading it runs nothing."""

from __future__ import annotations

import json
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

KEY = "state"  # of the metadata, under which lies everything that is no tensor


def dumped(state: Any) -> bytes:
    """Return a state as bytes; keys that are numbers, tuples, NaN and infinity come back as they are."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_plain(state, tensors))
    return save(tensors, metadata={KEY: text})


def loaded(content: bytes) -> Any:
    """Return what `dumped` made bytes of.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    try:  # what is nested too deep ends in a RuntimeError
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return _nested(json.loads(header["__metadata__"][KEY]), tensors)
    except (SafetensorError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"it holds no state: {type(error).__name__}") from error


def copied(state: Any) -> Any:
    """Return a state whose tensors are copies on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone().contiguous()
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(copied, state))
    return state


def alike(value: Any, pattern: Any) -> bool:
    """Return whether a value has the keys, kinds, shapes and dtypes of another."""
    if isinstance(pattern, Tensor):
        return isinstance(value, Tensor) and value.shape == pattern.shape and value.dtype == pattern.dtype
    if isinstance(pattern, dict):
        same = isinstance(value, dict) and value.keys() == pattern.keys()
        return same and all(alike(value[key], pattern[key]) for key in pattern)
    if isinstance(pattern, list | tuple):
        same = type(value) is type(pattern) and len(value) == len(pattern)
        return same and all(map(alike, value, pattern))
    return type(value) is type(pattern)


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON has it, and move its tensors into `tensors`."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()  # a file takes no two tensors of one memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(one, tensors)] for key, one in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(one, tensors) for one in value]}
    if isinstance(value, list):
        return [_plain(one, tensors) for one in value]
    return value


def _nested(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `_plain`."""
    if isinstance(value, list):
        return [_nested(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "tuple":
        return tuple(_nested(one, tensors) for one in inner)
    if kind == "dict":
        return {key: _nested(one, tensors) for key, one in inner}
    raise KeyError(kind)
