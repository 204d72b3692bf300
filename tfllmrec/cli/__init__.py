"""Command line. Commands import heavy packages when they run, so that `--help` is fast."""

from tfllmrec.cli import check, export, fit, monitor, recommend, serve, tables, versions  # noqa: F401  # each registers its commands
from tfllmrec.cli.app import main

__all__ = ["main"]
