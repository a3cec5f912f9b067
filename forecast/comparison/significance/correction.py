"""Many comparisons at once: p-values corrected for their number."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from forecast.errors import ConfigError, unknown_name

Array = NDArray[np.float64]
Correction = Literal["holm", "benjamini_hochberg", "none"]

CORRECTIONS = ("holm", "benjamini_hochberg", "none")


def corrected(p: ArrayLike, *, method: Correction = "holm") -> Array:
    """Return p-values (K,) corrected for their number; a test that was not made (NaN) stays NaN and does not count.

    Parameters
    ----------
    p : array-like (K,)
        Of tests that are read together.
    method : {"holm", "benjamini_hochberg", "none"}
        `holm` bounds the chance of any false difference, `benjamini_hochberg` the expected share of false ones
        among the differences found.

    Raises
    ------
    ConfigError
        If there is no such method.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.
    Benjamini and Hochberg (1995), Controlling the false discovery rate, Journal of the Royal Statistical Society B 57.
    """
    if method not in CORRECTIONS:
        raise ConfigError(unknown_name("correction", method, CORRECTIONS))
    values = np.array(p, np.float64)
    made = ~np.isnan(values)
    if method == "holm":
        values[made] = _holm(values[made])
    elif method == "benjamini_hochberg" and made.any():
        values[made] = false_discovery_control(values[made])
    return values


def _holm(p: Array) -> Array:
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(p)
    result[order] = np.minimum(steps, 1)
    return result
