"""What was measured, as a table to read and a report.json to keep."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tfllmrec.errors import InputError
from tfllmrec.evaluation.bootstrap import Interval

Scores = Mapping[str, Mapping[str, float]]
"""For every model the metrics of `metrics.summarise`; the first metric is the one models are compared by."""

# More coverage or novelty is not better in itself: random lists have the most of both.
_DESCRIPTIVE = ("coverage", "novelty")


def headline(models: Scores) -> str:
    """The metric that models are compared by.

    Raises:
        InputError: there are no models.
    """
    if not models:
        raise InputError("report: there are no models to compare")
    return next(iter(next(iter(models.values()))))


def best_first(models: Scores) -> list[str]:
    """Model names by the headline metric; equal ones stay in the given order.

    Example:
        >>> best_first({"popularity": {"ndcg@10": 0.02}, "two_tower": {"ndcg@10": 0.17}})
        ['two_tower', 'popularity']
    """
    metric = headline(models)
    return sorted(models, key=lambda name: -models[name][metric])


def score_table(
    models: Scores, intervals: Mapping[str, Interval] | None = None, reference: str = "markov_chain"
) -> Table:
    """One row a model, best first, the best value of a quality metric in bold.

    The seven metrics of `metrics.summarise` fit into 80 columns of a console, with intervals into 105.

    Args:
        models: metrics of every model, all with the same keys.
        intervals: for any of the models, the difference of its headline metric to the reference's.
        reference: the model that the intervals compare with.
    """
    names = best_first(models)
    columns = {
        metric.replace("@", "\n@"): _column([models[name][metric] for name in names], metric)
        for metric in models[names[0]]
    }
    if intervals:
        title = f"{headline(models)} against\n{reference}"
        columns[title] = [_interval_cell(intervals.get(name)) for name in names]
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for title in columns:
        table.add_column(Text(title), justify="right", no_wrap=True)
    for name, *cells in zip(names, *columns.values(), strict=True):
        table.add_row(Text(name), *cells)
    return table


def cold_table(models: Mapping[str, Scores]) -> Table:
    """One row a model: how it does on items and users it has never met, the best value of a column in bold.

    New items are ranked among themselves and told by recall, which guessing has some of; new users' last items are
    ranked among all.

    Args:
        models: for every model what `tfllmrec.training.cold.cold_scores` found.
    """
    asked = {name: "recall@10" if name == "new items" else "ndcg@10" for name in next(iter(models.values()))}
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    columns = {
        name: _column([rows[name][metric] for rows in models.values()], metric) for name, metric in asked.items()
    }
    for name, metric in asked.items():
        heading = name.replace(" after", "\nafter")
        table.add_column(Text(f"{heading}\n{metric}"), justify="right", no_wrap=True)
    for model, *cells in zip(models, *columns.values(), strict=True):
        table.add_row(Text(model), *cells)
    return table


def multi_task_table(joint: Mapping[str, Any]) -> Table:
    """One row a task, of every scenario: how well it is done, and how much it listens to each expert.

    Args:
        joint: what `tfllmrec.training.multi_task.joint_report` found.
    """
    experts = dict.fromkeys(row["expert"] for row in joint["experts"])
    by_scenario = any(row["scenario"] for row in joint["experts"])
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    for heading in (*(["scenario"] if by_scenario else []), "task"):
        table.add_column(heading, no_wrap=True)
    for heading in ("", *experts):
        table.add_column(Text(heading), justify="right")
    shares: dict[tuple[str, str], list[Text]] = {}
    for row in joint["experts"]:
        shares.setdefault((row["scenario"], row["task"]), []).append(Text(f"{row['share']:.0%}"))
    for (scenario, task), cells in shares.items():
        told = [f"{metric} {value:.4f}" for metric, value in joint["tasks"].get(task, {}).items()]
        table.add_row(*([Text(scenario)] if by_scenario else []), task, Text(" ".join(told)), *cells)
    return table


def interest_table(user: str, profile: Mapping[str, float], most: int = 8) -> Table:
    """The strongest interests of a user by name, each with its chance.

    Args:
        user: who it is.
        profile: the chance of every label.
        most: rows.
    """
    table = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    table.add_column(Text(f"What user {user} is interested in"), no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for label, chance in sorted(profile.items(), key=lambda named: -named[1])[:most]:
        table.add_row(Text(label), Text("█" * max(1, round(24 * chance)), style="cyan"), f"{chance:.0%}")
    return table


def _column(values: list[float], metric: str) -> list[Text]:
    digits = 2 if max(values) > 1 else 4
    best = None if metric.startswith(_DESCRIPTIVE) else max(values)
    return [Text(f"{value:.{digits}f}", style="bold green" if value == best else "") for value in values]


def _interval_cell(interval: Interval | None) -> Text:
    """The difference with its bounds, dim where it may be none."""
    if interval is None:
        return Text("")
    text = f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
    return Text(text, style="dim" if interval.low <= 0 <= interval.high else "")


def write_report(
    path: str | Path,
    data: Mapping[str, Any],
    models: Scores,
    seconds: Mapping[str, float],
    parts: Mapping[str, Any] | None = None,
) -> None:
    """Write report.json in one step: a reader sees the old file or the new one, never a part.

    Args:
        path: the file; its folder is made if need be.
        data: what was measured on, `Dataset.summary()` say.
        models: metrics of every model; written best first.
        seconds: how long what took.
        parts: what else is told, by name: "cold" for `cold_table`, "joint" for `joint_table`.

    Raises:
        InputError: there are no models.
        ValueError: a number is not finite, which JSON cannot say.
    """
    path = Path(path)
    ordered = {name: models[name] for name in best_first(models)}
    report = plain({"data": data, "models": ordered, **(parts or {}), "seconds": seconds})
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Python numbers instead of NumPy's, floats rounded to 6 digits."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, 6) if isinstance(value, float) else value
