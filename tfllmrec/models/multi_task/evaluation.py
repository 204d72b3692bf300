"""Evaluation of single tasks: the error of ratings, the AUC of likes and interests."""

from collections.abc import Mapping

import numpy as np

from tfllmrec.content.item_tokens import label_matrix
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.evaluation.interests import label_aucs
from tfllmrec.evaluation.ratings import rmse
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.inference import TaskPredictor


def task_scores(
    predictor: TaskPredictor, config: MultiTaskConfig, labels: Vocabulary, data: Dataset, targets: Targets
) -> dict[str, Mapping[str, float]]:
    """Evaluate the tasks that `Recommender.evaluate` does not cover.

    Args:
        predictor: predicts single tasks.
        config: the tasks of the model, and the threshold of likes.
        labels: interest labels.
        data: whole data set, with the labels of its items.
        targets: evaluation targets.

    Returns:
        {"rating": {"rmse"}, "like": {"auc"}, "interests": {"auc"}} for the tasks that the model has. The AUC of likes
        is over rated targets. The AUC of interests is the mean over labels with at least ten positive targets. A task
        is left out if the targets are too few; likes are also left out if the data defines them by events, because
        targets have ratings only.
    """
    rated, scores = targets.rated(), {}
    if "rating" in config.tasks and len(rated):
        scores["rating"] = {"rmse": rmse(predictor.pairs("rating", rated), _ratings(rated))}
    if "like" in config.tasks and len(rated) and "event" not in data.interactions:
        liked = _ratings(rated) >= config.like_threshold
        scores["like"] = _mean_auc(predictor.pairs("like", rated)[:, None], liked[:, None])
    if "interests" in config.tasks:
        positive = label_matrix(data.items, labels)[targets.items]
        scores["interests"] = _mean_auc(predictor.interest_scores(targets), positive)
    return {task: metrics for task, metrics in scores.items() if metrics}


def _ratings(rated: Targets) -> np.ndarray:
    assert rated.ratings is not None, "rated targets have ratings"
    return rated.ratings


def _mean_auc(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    try:
        return {"auc": float(np.nanmean(label_aucs(scores, labels)))}
    except InputError:  # no label has ten positive targets and a negative one
        return {}
