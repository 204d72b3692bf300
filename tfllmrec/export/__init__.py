"""Recommender -> signatures -> SavedModel that TF Serving loads and runs."""

from tfllmrec.export.export import export
from tfllmrec.export.refresh import refresh
from tfllmrec.export.servable import Servable

__all__ = ["Servable", "export", "refresh"]
