"""Interests from user texts, on data where only the texts tell the next items."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from quick_learning import QUICK_LEARNING

from tfllmrec import MultiTask
from tfllmrec.content.item_tokens import label_matrix
from tfllmrec.data import Dataset
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.models.multi_task.inference import TaskPredictor
from tfllmrec.models.registry import load_model
from tfllmrec_client.requests import RecommendRequest

TEXTS = {"even": "电影 film", "odd": "样样 999"}
OPTIONS = QUICK_LEARNING | {"tasks": "next_item,interests", "expert_units": 8, "content": False}
HISTORY = ["first"]


@pytest.fixture(scope="module")
def reviews() -> Dataset:
    """Every user starts with the same item, and a text that determines the label of the following items."""
    random = np.random.default_rng(0)
    rows, labels = [], [*TEXTS]
    for user in range(40):
        rows.append((f"u{user}", "first", 0, TEXTS[labels[user % 2]]))
        items = random.permutation(np.arange(user % 2, 16, 2))[:4]
        rows += [(f"u{user}", f"i{item}", time, " ") for time, item in enumerate(items, start=1)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "text"])
    ids = ["first", *(f"i{item}" for item in range(16))]
    categories = ["", *(labels[item % 2] for item in range(16))]
    return Dataset.from_frames(table, pd.DataFrame({"item_id": ids, "title": ids, "categories": categories}))


@pytest.fixture(scope="module")
def reader(reviews: Dataset, tiny_bert: Path) -> MultiTask:
    return MultiTask(backbone=str(tiny_bert), **OPTIONS).fit(reviews, verbose=0)


def first_labels(table: pd.DataFrame) -> list[str]:
    return table.groupby("row").first()["label"].tolist()


def test_texts_of_a_request_decide(reader: MultiTask) -> None:
    table = reader.interests(histories=[HISTORY] * 2, texts=[[TEXTS["odd"]], [TEXTS["even"], " "]])
    assert first_labels(table) == ["odd", "even"]
    assert first_labels(reader.interests(texts=[[TEXTS["odd"]]])) == ["odd"]


def test_stored_texts_are_read_without_texts_of_the_request(reader: MultiTask) -> None:
    users, histories = ["u10", "u11"], [HISTORY] * 2
    stored = reader.interests(users, histories)
    assert first_labels(stored) == ["even", "odd"]
    pd.testing.assert_frame_equal(reader.interests(users, histories, texts=[[], [""]]), stored)
    replaced = reader.interests(users, histories, texts=[[TEXTS["odd"]], [TEXTS["even"]]])
    assert first_labels(replaced) == ["odd", "even"]


def test_interests_are_predicted_in_blocks(reader: MultiTask, monkeypatch: pytest.MonkeyPatch) -> None:
    users, texts = ["u10", "u11", "u1"], [[], [TEXTS["odd"]], [TEXTS["even"], "a", "b"]]
    expected, sizes, block = reader.interests(users, texts=texts), [], TaskPredictor._request_interests

    def record(self: TaskPredictor, request: RecommendRequest) -> np.ndarray:
        sizes.append(len(request.users))
        return block(self, request)

    monkeypatch.setattr(TaskPredictor, "_request_interests", record)
    monkeypatch.setattr("tfllmrec.models.multi_task.inference._BLOCK", 6)
    pd.testing.assert_frame_equal(reader.interests(users, texts=texts), expected, rtol=1e-4)
    assert sizes == [2, 1]  # three rows with up to 3 texts would be 9
    assert reader.interests([]).empty


def test_interest_scores_of_targets_read_stored_texts(reader: MultiTask, reviews: Dataset) -> None:
    _, targets = leave_last_out(reviews)
    labels = label_matrix(reviews.items, reader.labels)
    best = reader.interest_scores(targets).argmax(axis=1)
    assert best.tolist() == labels[targets.items].argmax(axis=1).tolist()


def test_loaded_model_predicts_the_same(reader: MultiTask, tmp_path: Path) -> None:
    request: dict[str, Any] = {"users": ["u1", "u2"], "texts": [[], [TEXTS["odd"]]]}
    expected = reader.interests(**request)
    for _ in range(2):  # the second time over the first
        reader.save(tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    assert isinstance(loaded, MultiTask)
    pd.testing.assert_frame_equal(loaded.interests(**request), expected)


def test_data_without_texts_is_refused(reviews: Dataset, tiny_bert: Path) -> None:
    for interactions in (reviews.interactions.assign(text=" "), reviews.interactions.drop(columns="text")):
        data = Dataset.from_frames(interactions, reviews.items)
        with pytest.raises(InputError, match="column text is missing or empty; leave backbone out"):
            MultiTask(backbone=str(tiny_bert), **OPTIONS).fit(data, verbose=0)


def test_malformed_texts_are_refused(reader: MultiTask) -> None:
    with pytest.raises(InputError, match="texts must have a list of strings per row, not 'a text'"):
        reader.interests(["u1"], texts=["a text"])
    with pytest.raises(InputError, match=r"rows do not match \(1 users, 2 texts\)"):
        reader.interests(["u1"], texts=[[], []])


def test_texts_without_backbone_are_refused(reviews: Dataset) -> None:
    model = MultiTask(**{**OPTIONS, "epochs": 1}).fit(reviews, verbose=0)
    with pytest.raises(InputError, match="does not read texts; leave them out, or fit it with a backbone"):
        model.interests(["u1"], texts=[["a"]])
