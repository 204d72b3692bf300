"""Command that checks the tables of a data set."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import AsJson, DateFormat, Encoding, Separator, app, stage


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of tables.")],
    separator: Separator = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    as_json: AsJson = False,
) -> None:
    """Report oddities in the tables of a data set.

    The exit status is 0 if nothing is odd, 1 if there are findings, and 2 if training refuses the tables.
    """
    from rich.console import Console

    with stage(f"Checking {folder}"):
        from tfllmrec.data.checks import check_folder

        report = check_folder(folder, separator=separator, encoding=encoding, date_format=date_format)
    if as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        console = Console()
        console.print(report.headline(), highlight=False)
        if report.findings:
            console.print(report.table())
    raise typer.Exit(report.status)
