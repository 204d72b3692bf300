"""How well the tasks of a joint model are done, against figures by hand and by scikit-learn."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tfllmrec.data import Dataset, Histories, Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.training.multi_task import multi_task_report, task_scores

TARGETS = 40
RANDOM = np.random.default_rng(0)
CHANCES = RANDOM.random((TARGETS, 2)).astype(np.float32)
ITEMS = RANDOM.integers(1, 5, TARGETS).astype(np.int32)
RATINGS = np.where(np.arange(TARGETS) % 4 == 0, np.nan, RANDOM.integers(1, 6, TARGETS)).astype(np.float32)
RATED = np.isfinite(RATINGS)


@pytest.fixture
def data():
    """Four items: the first two are dramas, the second and the third are comic."""
    interactions = pd.DataFrame({"user_id": "u", "item_id": list("abcd"), "timestamp": range(4)})
    items = pd.DataFrame(
        {"item_id": list("abcd"), "title": list("abcd"), "categories": ["Drama", "Comedy|Drama", "Comedy", ""]}
    )
    return Dataset.from_frames(interactions, items)


@pytest.fixture
def targets():
    histories = Histories.from_rows([[1]] * TARGETS)
    return Targets(np.ones(TARGETS, np.int32), histories, ITEMS, RATINGS)


def model(*tasks):
    """What answers like a joint model, with known answers."""
    experts = pd.DataFrame({"scenario": [""], "task": [tasks[0]], "expert": ["shared 1"], "share": [1.0]})
    return SimpleNamespace(
        config=SimpleNamespace(tasks=tasks, like_threshold=4.0),
        labels=Vocabulary(["Comedy", "Drama"]),
        predict_ratings=lambda asked: np.full(len(asked), 3.0, np.float32),
        like_chances=lambda asked: CHANCES[RATED, 0],
        interest_scores=lambda asked: CHANCES[: len(asked)],
        expert_use=lambda asked: experts,
    )


def test_every_task_by_its_own_measure(data, targets):
    found = task_scores(model("next_item", "like", "rating", "interests"), data, targets)
    rated = RATINGS[RATED]
    assert found["rating"] == {"rmse": pytest.approx(np.sqrt(np.mean((rated - 3) ** 2)))}
    assert found["like"] == {"auc": pytest.approx(roc_auc_score(rated >= 4, CHANCES[RATED, 0]))}
    comic, drama = np.isin(ITEMS, [2, 3]), np.isin(ITEMS, [1, 2])
    areas = [roc_auc_score(comic, CHANCES[:, 0]), roc_auc_score(drama, CHANCES[:, 1])]
    assert found["interests"] == {"auc": pytest.approx(np.mean(areas))}


def test_only_what_was_learnt_and_what_the_targets_tell(data, targets):
    assert task_scores(model("next_item"), data, targets) == {}
    few = targets.take(np.flatnonzero(~RATED)[:3])
    assert task_scores(model("like", "rating", "interests"), data, few) == {}


def test_likes_that_events_told_are_not_held_against_ratings(data, targets):
    told = Dataset.from_frames(data.interactions.assign(event="bought"), data.items)
    assert task_scores(model("like"), told, targets) == {}
    assert task_scores(model("like"), data, targets).keys() == {"like"}


def test_the_report_has_the_experts_as_rows(data, targets):
    found = multi_task_report(model("next_item"), data, targets)
    assert found["experts"] == [{"scenario": "", "task": "next_item", "expert": "shared 1", "share": 1.0}]
    assert found["tasks"] == {}
