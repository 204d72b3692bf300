"""The steps as commands. Heavy imports wait until a command runs, so that `--help` is quick."""

from tfllmrec.cli import fit, monitor, recommend, serve, tables, versions  # noqa: F401  # each adds its commands
from tfllmrec.cli.app import main

__all__ = ["main"]
