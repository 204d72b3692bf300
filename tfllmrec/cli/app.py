"""Application object of the command line, shared parameters, errors and progress."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfllmrec.errors import InputError
from tfllmrec.quiet import quiet_tensorflow
from tfllmrec_client.version import __version__

if TYPE_CHECKING:
    from tfllmrec.stages import Stage

app = typer.Typer(
    help="Recommenders for TensorFlow and Keras 3: fit, compare, export, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, written by `train`.")]
Separator = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Separator of CSV files; found in the header by default.")
]
Encoding = Annotated[str | None, typer.Option(metavar="NAME", help="Encoding of CSV files; UTF-8 by default.")]
DateFormat = Annotated[
    str | None, typer.Option(metavar="FORMAT", help='Format of dates in text, such as "%d/%m/%Y"; found by default.')
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the `tfllmrec` command. An `InputError` ends it with one sentence on stderr and exit status 2."""
    try:
        app()
    except InputError as error:
        print(f"tfllmrec: {error}", file=sys.stderr)
        sys.exit(2)


def stage(description: str) -> AbstractContextManager["Stage"]:
    """Show on stderr that a stage is running, see `tfllmrec.stages.stage`."""
    from rich.console import Console

    from tfllmrec.stages import stage as show

    return show(description, Console(stderr=True))


def _print_version(requested: bool) -> None:
    if requested:
        print(f"tfllmrec {__version__}")
        raise typer.Exit


@app.callback()
def _prepare(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    quiet_tensorflow()
