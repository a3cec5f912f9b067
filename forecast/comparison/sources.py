"""The code that an object runs: the source of a user's own classes, the code of functions, versions of libraries."""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

OWN = "forecast"
PLAIN = bool | int | float | str
VALUE = PLAIN | bytes | list | tuple | dict | set | frozenset | np.ndarray | np.generic | pd.DataFrame | pd.Series


def is_own(kind: Any) -> bool:
    """Return whether a class or function is of this package."""
    return str(kind.__module__).partition(".")[0] == OWN


def path_of(kind: Any) -> str:
    """Return the dotted path of a class or function."""
    return f"{kind.__module__}.{kind.__qualname__}"


def named_class(path: object) -> type | None:
    """Return the class that a dotted path means, where its module is loaded: nothing is imported for its name."""
    module, _, name = str(path).rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) else None


def source_of(kind: type) -> str:
    """Return the SHA-256 of the source of a class and of all that it inherits from, "" of this package's own.

    Of the classes of installed libraries the version of the library counts instead, where it tells one. A class that
    was typed at a prompt has no source: its functions are described beside it.
    """
    if is_own(kind):
        return ""
    told = [_told(one) for one in kind.__mro__ if not is_own(one) and one.__module__ != "builtins"]
    return hashlib.sha256("\n".join(told).encode()).hexdigest() if any(told) else ""


def members_of(kind: type) -> dict[str, Any]:
    """Return the functions and the values that the user's own classes among the parents of a class define."""
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        if is_own(one) or is_installed(one.__module__):
            continue
        for name, member in vars(one).items():
            for role in ("__func__", "fget", "func", "__wrapped__"):  # of methods, properties
                member = member if isinstance(member, FunctionType) else getattr(member, role, member)
            if isinstance(member, FunctionType) or (not name.startswith("__") and isinstance(member, VALUE)):
                found[f"{path_of(one)}.{name}"] = member
    return found


def _told(kind: type) -> str:
    if is_installed(kind.__module__):
        top = kind.__module__.partition(".")[0]
        version = getattr(sys.modules.get(top), "__version__", None)
        return f"{top} {version}" if isinstance(version, str) else ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""


@cache
def is_installed(module: str | None) -> bool:
    """Return whether a module came with Python or was installed: its version tells what it does."""
    if module is None or module in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module.partition(".")[0] in sys.stdlib_module_names
    paths = sysconfig.get_paths()
    folders = [Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return any(Path(file).resolve().is_relative_to(folder) for folder in folders)
