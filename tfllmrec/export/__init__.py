"""Exports of recommenders as SavedModels for TF Serving."""

from tfllmrec.export.export import export
from tfllmrec.export.refresh import refresh
from tfllmrec.export.servable import Servable

__all__ = ["Servable", "export", "refresh"]
