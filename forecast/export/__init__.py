"""Trained networks as graphs that run without this package."""

from forecast.export.exporting import Exported, export

__all__ = ["Exported", "export"]
