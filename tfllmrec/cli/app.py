"""The command itself: what it is called with, and how it ends."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.errors import InputError
from tfllmrec.quiet import quiet_tensorflow

app = typer.Typer(
    help="Recommenders for TensorFlow and Keras 3: fit, compare, export to TF Serving.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A folder written by `train`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """The `tfllmrec` command: an error the user can mend is one sentence on stderr and exit status 2."""
    sys.argv = [sys.argv[0], *_without_true(sys.argv[1:])]
    try:
        app()
    except InputError as error:
        print(f"tfllmrec: {error}", file=sys.stderr)
        sys.exit(2)


@app.callback()
def _prepare() -> None:
    quiet_tensorflow()


def _without_true(arguments: list[str]) -> list[str]:
    """`--flag=true` as `--flag`, and no `--flag=false`: tensorflow_model_server takes its flags in this form too."""
    on = [re.sub(r"^(--\w+)=true$", r"\1", argument) for argument in arguments]
    return [argument for argument in on if not re.fullmatch(r"--\w+=false", argument)]
