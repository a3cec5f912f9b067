"""Losses, and how the raw outputs of a network are read: as a point, as quantiles, as draws, as a probability.

A loss works on the scaled axis and returns forecasts on the axis that its `Affine` leads to. Averages are
over what was observed. Letters: B windows, H horizon, C targets, K outputs, Q levels, n draws.
"""

from forecast.losses.continuous import Gaussian, LogNormal, Mixture, StudentT
from forecast.losses.counts import Counts, NegativeBinomial, Poisson, ZeroInflated
from forecast.losses.events import Direction, EventLoss, Occurrence, Threshold
from forecast.losses.loss import LEVELS, Loss
from forecast.losses.points import MAE, MSE, Huber, PointLoss
from forecast.losses.quantile import Quantile
from forecast.losses.tweedie import Tweedie

__all__ = [
    "LEVELS", "MAE", "MSE", "Counts", "Direction", "EventLoss", "Gaussian", "Huber", "LogNormal", "Loss", "Mixture",
    "NegativeBinomial", "Occurrence", "PointLoss", "Poisson", "Quantile", "StudentT", "Threshold", "Tweedie",
    "ZeroInflated",
]  # fmt: skip
