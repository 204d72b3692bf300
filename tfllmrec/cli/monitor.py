"""The command that tells how good is what was served."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import app


@app.command()
def quality(
    served: Annotated[list[Path], typer.Argument(metavar="SERVED...", help="Files of `serve --served_lists_file`.")],
    interactions: Annotated[Path, typer.Option(metavar="FILE", help="What users did since: .csv or .parquet.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for quality.json and quality.png.")],
    key_file: Annotated[
        Path | None, typer.Option(help="The server's key; by default it is TFLLMREC_PSEUDONYM_KEY.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="First places of a list that count.")] = 10,
    window_days: Annotated[float, typer.Option(help="How long after a list an interaction counts.")] = 7.0,
) -> None:
    """What came of served lists, version by version: click-through, recall on fresh events, drift."""
    from rich.console import Console

    from tfllmrec.data.privacy import read_key
    from tfllmrec.data.reading import read_file
    from tfllmrec.monitoring import quality_report, quality_tables, read_served, write_quality

    found = read_served(served)
    report = quality_report(found, read_file(interactions), read_key(key_file), k=k, window_days=window_days)
    write_quality(out, report)
    console = Console()
    for table in quality_tables(report):
        console.print(table)
    if report.cut_short:
        console.print(f"lines that were cut short, and are left out: {report.cut_short:,}", highlight=False)
    console.print(out, highlight=False, soft_wrap=True)
