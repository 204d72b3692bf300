"""What a joint model has learnt beside the order of items: how well each task is done, and by which experts."""

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
    """What `tfllmrec.evaluation.report.joint_table` shows, and a report keeps.

    Args:
        model: fitted.
        data: the whole table, whose items have the labels.
        targets: questions with known answers.

    Returns:
        {"tasks": see `task_scores`, "experts": rows of `MultiTask.expert_use`, one dictionary each}.
    """
    experts = model.expert_use(targets).to_dict("records")
    return {"tasks": task_scores(model, data, targets), "experts": experts}


def task_scores(model: MultiTask, data: Dataset, targets: Targets) -> dict[str, Mapping[str, float]]:
    """How well the tasks are done that `evaluate` says nothing of, as far as the targets tell what was right.

    Returns:
        {"rating": {"rmse"}, "like": {"auc"}, "interests": {"auc"}}, of these what the model learnt. Areas under the ROC
        curve are over targets; that of interests is the mean over labels that ten targets have. A task that the
        targets say too little of is left out, as are likes that events told: targets have ratings alone.
    """
    rated, found = targets.rated(), {}
    if "rating" in model.config.tasks and len(rated):
        found["rating"] = {"rmse": rmse(model.predict_ratings(rated), _ratings(rated))}
    if "like" in model.config.tasks and len(rated) and "event" not in data.interactions:
        liked = _ratings(rated) >= model.config.like_threshold
        found["like"] = _auc(model.like_chances(rated)[:, None], liked[:, None])
    if "interests" in model.config.tasks:
        labels = label_matrix(data.items, model.labels)[targets.items]
        found["interests"] = _auc(model.interest_scores(targets), labels)
    return {task: scores for task, scores in found.items() if scores}


def _ratings(rated: Targets) -> np.ndarray:
    assert rated.ratings is not None, "what was rated has ratings"
    return rated.ratings


def _auc(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    try:
        return {"auc": float(np.nanmean(label_aucs(scores, labels)))}
    except InputError:  # ten of either kind are too few to tell
        return {}
