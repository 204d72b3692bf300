"""Console output of the quickstart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfllmrec.data import Dataset, Split
from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.evaluation.report import Scores, cold_table, interest_table, multi_task_table, score_table
from tfllmrec.models.base.recommender import Recommender

REFERENCE = "markov_chain"
"""Reference family of the comparison."""
_METRICS = ("ndcg@10", "recall@10", "mrr@10", "coverage@10")  # fit into 80 columns


def show_data(console: Console, data: Dataset, split: Split) -> None:
    """Print the size of the data and the protocol."""
    size = data.summary()
    console.print(
        f"[bold]MovieLens[/bold]  {size['interactions']:,} ratings, {size['items']:,} films, {size['users']:,} users"
    )
    for note in split.train.notes:
        console.print(f"  {note}", style="dim")
    console.print("  test: the last film of every user; validation: the one before it\n", style="dim")


def show_fit(console: Console, fitted: Recommender, seconds: float) -> None:
    """Print a line for a fitted family."""
    epochs = len(fitted.training_log.get("loss", ()))
    detail = f", {epochs} epochs" if epochs else ""
    console.print(f"  [green]✓[/green] {fitted.family:<14}[dim]{seconds:6.1f} s{detail}[/dim]")


def show_scores(console: Console, scores: Scores, intervals: Mapping[str, Interval]) -> None:
    """Print the table of metrics."""
    shown = {name: {metric: values[metric] for metric in _METRICS} for name, values in scores.items()}
    console.print(score_table(shown, intervals, REFERENCE))


def show_tasks(console: Console, report: Mapping[str, Any]) -> None:
    """Print the scores of the tasks of `multi_task`, and the weights of its experts."""
    console.print("Tasks of multi_task, and the weight of every expert", style="bold")
    console.print(multi_task_table(report))


def show_interests(console: Console, user_id: str, labels: Mapping[str, float]) -> None:
    """Print the interests of a user."""
    console.print(interest_table(user_id, labels))
    console.print("  probability that one of the next films has the category, from multi_task\n", style="dim")


def show_cold(console: Console, scores: Mapping[str, Scores]) -> None:
    """Print the scores on cold items and users."""
    console.print(cold_table(scores))


def show_files(console: Console, out: Path, version: Path, seconds: float) -> None:
    """Print the files, the command that serves the export, and the time."""
    shown = out / version.relative_to(out.absolute())
    console.print(f"\n  {out / 'report.json'}, {out / 'report.png'}", highlight=False)
    console.print(f"  {shown}: SavedModel for TF Serving", highlight=False)
    console.print(f"  tfllmrec serve {shown.parent}: serve it again", highlight=False)
    console.print(f"  done in {seconds / 60:.1f} minutes", style="dim", highlight=False)
