"""Steps of the quickstart: fit and compare models, export the best one and query it."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tfllmrec.data import leave_one_out, load_dataset
from tfllmrec.evaluation.plots import plot_report
from tfllmrec.evaluation.report import best_first, write_report
from tfllmrec.export import export
from tfllmrec.quickstart.families import compare, fit_families
from tfllmrec.quickstart.full import FULL_FAMILIES, OPTIONS, explore, fit_cascade
from tfllmrec.quickstart.queries import query_for_a_user, query_what_if
from tfllmrec.quickstart.show import show_data, show_files, show_scores
from tfllmrec.quickstart.timing import timed
from tfllmrec.stages import stage

QUICK_FAMILIES = ("popularity", "markov_chain", "next_item")
_FILMS = 5  # minimum history length of the example user


def quickstart(out: Path, console: Console, *, full: bool = False) -> None:
    """Fit families on the demo data, compare them, export the best one and query it through a model server.

    Write `report.json`, `report.png` and `export/<family>/<version>/` to the output folder.

    Args:
        out: output folder.
        console: output.
        full: whether to fit all families, with a cascade and reports of tasks and of cold items and users, instead of
            three quick ones.

    Raises:
        InputError: If the demo data is not installed, or the folder cannot be written to.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "total"):
        with stage("Loading the demo data", console):
            data = load_dataset("demo")
            split = leave_one_out(data)
        show_data(console, data, split)
        fitted = fit_families(FULL_FAMILIES if full else QUICK_FAMILIES, OPTIONS, split, seconds, console)
        if full:
            fitted["cascade"] = fit_cascade(fitted, split, seconds, console)
        with stage("Evaluating", console):
            scores, intervals = compare(fitted, split)
        show_scores(console, scores, intervals)
        user = int(np.flatnonzero(split.train.histories.lengths >= _FILMS)[0])
        parts: dict[str, Any] = explore(fitted, data, split, user, seconds, console) if full else {}
        best = best_first(scores)[0]
        with timed(seconds, "export"), stage(f"Exporting {best}", console):
            version = export(fitted[best], out / "export" / best)
        with timed(seconds, "serve"), stage("Starting a model server", console):
            query_for_a_user(version, split.train, user, console)
        with timed(seconds, "what_if"):
            query_what_if(version, data, console)
    write_report(out / "report.json", {"name": "demo"} | data.summary(), scores, seconds, parts)
    # Validation metrics of rankers are computed on candidate lists, and cannot be compared with metrics on all items.
    logs = {name: model.training_log for name, model in fitted.items() if not model.ranks_candidates}
    plot_report(out / "report.png", {name: log for name, log in logs.items() if log}, scores)
    show_files(console, out, version, seconds["total"])
