"""Evaluation of single tasks, against values by hand and by scikit-learn."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tfllmrec.data import Dataset, Histories, Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.models.multi_task.evaluation import task_scores

TARGETS = 40
RANDOM = np.random.default_rng(0)
PROBABILITIES = RANDOM.random((TARGETS, 2)).astype(np.float32)
ITEMS = RANDOM.integers(1, 5, TARGETS).astype(np.int32)
RATINGS = np.where(np.arange(TARGETS) % 4 == 0, np.nan, RANDOM.integers(1, 6, TARGETS)).astype(np.float32)
RATED = np.isfinite(RATINGS)


@pytest.fixture
def data():
    """Four items: the first two are dramas, the second and third comedies."""
    interactions = pd.DataFrame({"user_id": "u", "item_id": list("abcd"), "timestamp": range(4)})
    items = pd.DataFrame(
        {"item_id": list("abcd"), "title": list("abcd"), "categories": ["Drama", "Comedy|Drama", "Comedy", ""]}
    )
    return Dataset.from_frames(interactions, items)


@pytest.fixture
def targets():
    histories = Histories.from_rows([[1]] * TARGETS)
    return Targets(np.ones(TARGETS, np.int32), histories, ITEMS, RATINGS)


def scores_of(tasks, data, targets):
    """Evaluate a model of these tasks with known outputs."""
    predictor = SimpleNamespace(
        pairs=lambda task, targets: PROBABILITIES[RATED, 0] if task == "like" else np.full(len(targets), 3.0, "f4"),
        interest_scores=lambda targets: PROBABILITIES[: len(targets)],
    )
    config = SimpleNamespace(tasks=tasks, like_threshold=4.0)
    return task_scores(predictor, config, Vocabulary(["Comedy", "Drama"]), data, targets)


def test_each_task_has_its_own_metric(data, targets):
    scores = scores_of(["next_item", "like", "rating", "interests"], data, targets)
    rated = RATINGS[RATED]
    assert scores["rating"] == {"rmse": pytest.approx(np.sqrt(np.mean((rated - 3) ** 2)))}
    assert scores["like"] == {"auc": pytest.approx(roc_auc_score(rated >= 4, PROBABILITIES[RATED, 0]))}
    comic, drama = np.isin(ITEMS, [2, 3]), np.isin(ITEMS, [1, 2])
    areas = [roc_auc_score(comic, PROBABILITIES[:, 0]), roc_auc_score(drama, PROBABILITIES[:, 1])]
    assert scores["interests"] == {"auc": pytest.approx(np.mean(areas))}


def test_tasks_that_the_model_lacks_or_the_targets_cannot_evaluate_are_left_out(data, targets):
    assert scores_of(["next_item"], data, targets) == {}
    few = targets.take(np.flatnonzero(~RATED)[:3])
    assert scores_of(["like", "rating", "interests"], data, few) == {}


def test_likes_defined_by_events_are_not_evaluated_by_ratings(data, targets):
    with_events = Dataset.from_frames(data.interactions.assign(event="bought"), data.items)
    assert scores_of(["like"], with_events, targets) == {}
    assert scores_of(["like"], data, targets).keys() == {"like"}
