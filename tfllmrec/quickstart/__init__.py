"""Quickstart on the demo data: fit and compare models, export the best one and query it."""

from tfllmrec.quickstart.run import quickstart

__all__ = ["quickstart"]
