"""Command that monitors the quality of served recommendations."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import app, stage


@app.command()
def monitor(
    log: Annotated[list[Path], typer.Argument(metavar="LOG", help="Recommendation log of `serve`, one or more files.")],
    interactions: Annotated[Path, typer.Option(metavar="FILE", help="Interactions since then: .csv or .parquet.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder for monitoring.json and monitoring.png.")],
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pseudonym key of the log; default: TFLLMREC_PSEUDONYM_KEY.")
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="Number of positions that count.")] = 10,
    window_days: Annotated[float, typer.Option(metavar="DAYS", help="Days within which an interaction counts.")] = 7.0,
) -> None:
    """Report the online quality of served versions.

    Joins a recommendation log with the interactions that followed. Shows the click-through rate, recall on fresh events
    and drift of each version, and compares the canary with stable.
    """
    from rich.console import Console

    with stage("Monitoring"):
        from tfllmrec.data.pseudonymisation import read_key
        from tfllmrec.data.table_files import read_table_file
        from tfllmrec.monitoring import monitoring_report, read_recommendation_log, report_tables, write_report

        impressions, events, key = read_recommendation_log(log), read_table_file(interactions), read_key(key_file)
        report = monitoring_report(impressions, events, key, k=k, window_days=window_days)
        write_report(out, report)
    console = Console()
    for table in report_tables(report):
        console.print(table)
    if report.truncated_lines:
        console.print(f"truncated lines left out: {report.truncated_lines:,}", highlight=False)
    console.print(out, highlight=False, soft_wrap=True)
