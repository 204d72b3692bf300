"""Tables of metrics for the console, and report.json."""

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
"""The metrics of `metrics.summarise` by model; models are compared by the first one."""

# Higher coverage or novelty is not better by itself: random lists have the highest.
_DESCRIPTIVE = ("coverage", "novelty")


def headline(models: Scores) -> str:
    """Return the metric that models are compared by.

    Raises:
        InputError: If there are no models.
    """
    if not models:
        raise InputError("report: there are no models to compare")
    return next(iter(next(iter(models.values()))))


def best_first(models: Scores) -> list[str]:
    """Return model names by the headline metric, best first; ties keep their order.

    Example:
        >>> best_first({"popularity": {"ndcg@10": 0.02}, "two_tower": {"ndcg@10": 0.17}})
        ['two_tower', 'popularity']
    """
    metric = headline(models)
    return sorted(models, key=lambda name: -models[name][metric])


def score_table(
    models: Scores, intervals: Mapping[str, Interval] | None = None, reference: str = "markov_chain"
) -> Table:
    """Return a table with a row per model, best first, and the best value of every quality metric in bold.

    The seven metrics of `metrics.summarise` fit into 80 columns of a console, with intervals into 105.

    Args:
        models: metrics of every model, all with the same keys.
        intervals: difference of the headline metric to that of the reference, by model; models may be missing.
        reference: model that the intervals are relative to.
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
    """Return a table with a row per model: its metrics on cold items and users, the best value of a column in bold.

    New items are ranked among new items and measured by recall; the last items of new users are ranked among all items.

    Args:
        models: the result of `tfllmrec.training.cold.cold_scores` by model.
    """
    metrics = {name: "recall@10" if name == "new items" else "ndcg@10" for name in next(iter(models.values()))}
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    columns = {
        name: _column([rows[name][metric] for rows in models.values()], metric) for name, metric in metrics.items()
    }
    for name, metric in metrics.items():
        heading = name.replace(" after", "\nafter")
        table.add_column(Text(f"{heading}\n{metric}"), justify="right", no_wrap=True)
    for model, *cells in zip(models, *columns.values(), strict=True):
        table.add_row(Text(model), *cells)
    return table


def multi_task_table(report: Mapping[str, Any]) -> Table:
    """Return a table with a row per task and scenario: its metrics and the weight of every expert.

    Args:
        report: the result of `Recommender.evaluate_tasks`.
    """
    experts = dict.fromkeys(row["expert"] for row in report["experts"])
    by_scenario = any(row["scenario"] for row in report["experts"])
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    for heading in (*(["scenario"] if by_scenario else []), "task"):
        table.add_column(heading, no_wrap=True)
    for heading in ("", *experts):
        table.add_column(Text(heading), justify="right")
    shares: dict[tuple[str, str], list[Text]] = {}
    for row in report["experts"]:
        shares.setdefault((row["scenario"], row["task"]), []).append(Text(f"{row['share']:.0%}"))
    for (scenario, task), cells in shares.items():
        metrics = [f"{metric} {value:.4f}" for metric, value in report["tasks"].get(task, {}).items()]
        table.add_row(*([Text(scenario)] if by_scenario else []), task, Text(" ".join(metrics)), *cells)
    return table


def interest_table(user: str, profile: Mapping[str, float], most: int = 8) -> Table:
    """Return a table of the strongest interests of a user, with probabilities.

    Args:
        user: the user's id.
        profile: the probability of every label.
        most: the number of rows.
    """
    table = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    table.add_column(Text(f"Interests of user {user}"), no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    for label, probability in sorted(profile.items(), key=lambda named: -named[1])[:most]:
        table.add_row(Text(label), Text("█" * max(1, round(24 * probability)), style="cyan"), f"{probability:.0%}")
    return table


def _column(values: list[float], metric: str) -> list[Text]:
    digits = 2 if max(values) > 1 else 4
    best = None if metric.startswith(_DESCRIPTIVE) else max(values)
    return [Text(f"{value:.{digits}f}", style="bold green" if value == best else "") for value in values]


def _interval_cell(interval: Interval | None) -> Text:
    """Return a cell with the difference and its bounds, dim if they include 0."""
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
    """Write report.json atomically.

    Args:
        path: the file; its folder is created if missing.
        data: the size of the data, such as `Dataset.summary()`.
        models: metrics of every model; written best first.
        seconds: durations by step.
        parts: further parts by name, such as "cold" for `cold_table` and "multi_task" for `multi_task_table`.

    Raises:
        InputError: If there are no models.
        ValueError: If a number is not finite, which JSON cannot represent.
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
    """Return a value with Python numbers instead of NumPy's and floats rounded to 6 digits."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, 6) if isinstance(value, float) else value
