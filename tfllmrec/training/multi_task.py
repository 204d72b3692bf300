"""Evaluation of a multi-task model beyond ranking: metrics of each task, and the use of experts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfllmrec.content.item_tokens import label_matrix
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.interests import label_aucs
from tfllmrec.evaluation.ratings import rmse
from tfllmrec.models.multi_task.model import MultiTask


def multi_task_report(model: MultiTask, data: Dataset, targets: Targets) -> dict[str, Any]:
    """Return the metrics of each task and the use of experts, see `tfllmrec.evaluation.report.multi_task_table`.

    Args:
        model: fitted model.
        data: whole data set, with the labels of its items.
        targets: evaluation targets.

    Returns:
        {"tasks": result of `task_scores`, "experts": rows of `MultiTask.expert_use` as dictionaries}.
    """
    experts = model.expert_use(targets).to_dict("records")
    return {"tasks": task_scores(model, data, targets), "experts": experts}


def task_scores(model: MultiTask, data: Dataset, targets: Targets) -> dict[str, Mapping[str, float]]:
    """Evaluate the tasks that `evaluate` does not cover.

    Args:
        model: fitted model.
        data: whole data set, with the labels of its items.
        targets: evaluation targets.

    Returns:
        {"rating": {"rmse"}, "like": {"auc"}, "interests": {"auc"}} for the tasks that the model has. The AUC of likes
        is over rated targets. The AUC of interests is the mean over labels with at least ten positive targets. A task
        is left out if the targets are too few; likes are also left out if the data defines them by events, because
        targets have ratings only.
    """
    rated, scores = targets.rated(), {}
    if "rating" in model.config.tasks and len(rated):
        scores["rating"] = {"rmse": rmse(model.predict_ratings(rated), _ratings(rated))}
    if "like" in model.config.tasks and len(rated) and "event" not in data.interactions:
        liked = _ratings(rated) >= model.config.like_threshold
        scores["like"] = _mean_auc(model.like_chances(rated)[:, None], liked[:, None])
    if "interests" in model.config.tasks:
        labels = label_matrix(data.items, model.labels)[targets.items]
        scores["interests"] = _mean_auc(model.interest_scores(targets), labels)
    return {task: metrics for task, metrics in scores.items() if metrics}


def _ratings(rated: Targets) -> np.ndarray:
    assert rated.ratings is not None, "rated targets have ratings"
    return rated.ratings


def _mean_auc(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    try:
        return {"auc": float(np.nanmean(label_aucs(scores, labels)))}
    except InputError:  # no label has ten positive targets and a negative one
        return {}
