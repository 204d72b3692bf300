"""The quickstart on the demo data: table, models, comparison, SavedModel, model server, film titles."""

from tfllmrec.quickstart.run import quickstart

__all__ = ["quickstart"]
