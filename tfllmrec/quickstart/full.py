"""Additional steps of `quickstart --full`: all families, a cascade, and reports of tasks, interests and cold start."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tfllmrec.data import Dataset, Split
from tfllmrec.evaluation.report import Scores
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.registry import FAMILIES, model_class
from tfllmrec.quickstart.show import show_cold, show_fit, show_interests, show_tasks
from tfllmrec.quickstart.timing import timed
from tfllmrec.stages import stage
from tfllmrec.training.cold import cold_scores
from tfllmrec.training.progress import EpochProgress

# A cross-encoder ranks short lists only, and the cascade is built from other families.
FULL_FAMILIES = tuple(name for name in FAMILIES if name not in ("cross_encoder", "cascade"))
# The default configurations of two families take four minutes each. Narrow models with small batches take one.
_NARROW: dict[str, Any] = {"dim": 96, "units": 96, "input_dropout": 0.3, "dropout": 0.3, "label_smoothing": 0.1}
_QUICK = {**_NARROW, "batch_size": 24, "warmup": 0}
OPTIONS: dict[str, dict[str, Any]] = {"next_item": {**_QUICK, "epochs": 12}, "multi_task": {**_QUICK, "epochs": 8}}
_RETRIEVERS, _RANKER = ("two_tower", "next_item"), "bert_ranker"
_COLD = ("popularity", "word2vec", "two_tower")


def fit_cascade(
    fitted: Mapping[str, Recommender], split: Split, seconds: dict[str, float], console: Console
) -> Recommender:
    """Build a cascade of fitted recommenders, and fit its weights on the validation targets."""
    with timed(seconds, "cascade"), stage("Training cascade", console):
        family: Any = model_class("cascade")
        cascade: Recommender = family(retrievers=[fitted[name] for name in _RETRIEVERS], ranker=fitted[_RANKER])
        cascade.fit(split.train, split.validation)
    show_fit(console, cascade, seconds["cascade"])
    return cascade


def explore(
    fitted: Mapping[str, Recommender],
    data: Dataset,
    split: Split,
    user: int,
    seconds: dict[str, float],
    console: Console,
) -> dict[str, Any]:
    """Report the tasks of `multi_task`, the interests of a user, and scores on cold items and users.

    Returns:
        Reports by name, for `report.json`.
    """
    model = fitted["multi_task"]
    report = _tasks(model, data, split, console)
    report["interests"] = _interests(model, split.train, user, console)
    with timed(seconds, "cold"):
        cold = _cold(fitted, data, console)
    show_cold(console, cold)
    return {"multi_task": report, "cold": cold}


def _tasks(model: Recommender, data: Dataset, split: Split, console: Console) -> dict[str, Any]:
    with stage("Evaluating the tasks of multi_task", console):
        report = model.evaluate_tasks(data, split.test)
    show_tasks(console, report)
    return report


def _interests(model: Recommender, data: Dataset, user: int, console: Console) -> dict[str, Any]:
    user_id = str(data.user_vocabulary.tokens[user])
    table = model.interests([user_id])
    labels: dict[str, float] = dict(zip(table["label"], table["score"], strict=True))
    show_interests(console, user_id, labels)
    return {"user_id": user_id, "labels": labels}


def _cold(fitted: Mapping[str, Recommender], data: Dataset, console: Console) -> dict[str, Scores]:
    """Return the scores on items and users outside of the training data; each family is fitted twice more."""
    scores: dict[str, Scores] = {}
    for name in _COLD:
        with stage(f"Training {name} without cold items and users", console) as running:
            scores[name] = cold_scores(fitted[name], data, callbacks=[EpochProgress(running)])
    return scores
