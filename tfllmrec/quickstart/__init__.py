"""The whole way of the data on the demo set: table, models, comparison, SavedModels, server, film titles."""

from tfllmrec.quickstart.story import quickstart

__all__ = ["quickstart"]
