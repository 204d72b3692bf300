"""Interests from what users write: on made data where nothing else tells what comes next."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from quick_learning import QUICK_LEARNING

from tfllmrec import MultiTask
from tfllmrec.data import Dataset
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.models.registry import load_model

WRITTEN = {"even": "电影 film", "odd": "样样 999"}
OPTIONS = QUICK_LEARNING | {"tasks": "next_item,interests", "expert_units": 8, "content": False}
ANYTHING = [["first"]]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Everybody begins with one item and says there which colour the others will have."""
    random = np.random.default_rng(0)
    rows, colours = [], [*WRITTEN]
    for user in range(40):
        rows.append((f"u{user}", "first", 0, WRITTEN[colours[user % 2]]))
        had = random.permutation(np.arange(user % 2, 16, 2))[:4]
        rows += [(f"u{user}", f"i{item}", time, " ") for time, item in enumerate(had, start=1)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "text"])
    ids = ["first", *(f"i{item}" for item in range(16))]
    categories = ["", *(colours[item % 2] for item in range(16))]
    return Dataset.from_frames(table, pd.DataFrame({"item_id": ids, "title": ids, "categories": categories}))


@pytest.fixture(scope="module")
def fitted(data: Dataset, tiny_bert: Any) -> MultiTask:
    return MultiTask(backbone=str(tiny_bert), **OPTIONS).fit(data, verbose=0)


def first_labels(table: pd.DataFrame) -> list[str]:
    return table.groupby("row").first()["label"].tolist()


def test_texts_tell_what_a_history_does_not(fitted: MultiTask) -> None:
    asked = fitted.interests(histories=ANYTHING * 2, texts=[[WRITTEN["odd"]], [WRITTEN["even"], " "]])
    assert first_labels(asked) == ["odd", "even"]


def test_what_is_stored_counts_until_something_is_given(fitted: MultiTask) -> None:
    users = ["u10", "u11"]
    stored = fitted.interests(users, ANYTHING * 2)
    assert first_labels(stored) == ["even", "odd"]
    pd.testing.assert_frame_equal(fitted.interests(users, ANYTHING * 2, texts=[[], [""]]), stored)
    other = fitted.interests(users, ANYTHING * 2, texts=[[WRITTEN["odd"]], [WRITTEN["even"]]])
    assert first_labels(other) == ["odd", "even"]
    assert first_labels(fitted.interests(texts=[[WRITTEN["odd"]]])) == ["odd"]


def test_scores_of_targets_read_what_is_stored(fitted: MultiTask, data: Dataset) -> None:
    _, targets = leave_last_out(data)
    best = fitted.interest_scores(targets).argmax(axis=1)
    assert best.tolist() == fitted._item_labels[targets.items].argmax(axis=1).tolist()


def test_saved_and_loaded(fitted: MultiTask, tmp_path: Any) -> None:
    asked: dict[str, Any] = {"users": ["u1", "u2"], "texts": [[], [WRITTEN["odd"]]]}
    expected = fitted.interests(**asked)
    for _ in range(2):  # also where there is one
        fitted.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    assert isinstance(again, MultiTask)
    pd.testing.assert_frame_equal(again.interests(**asked), expected)


def test_what_cannot_be(fitted: MultiTask, data: Dataset, tiny_bert: Any) -> None:
    silent = Dataset.from_frames(data.interactions.assign(text=" "), data.items)
    with pytest.raises(InputError, match="column text has nothing that users wrote; leave backbone out"):
        MultiTask(backbone=str(tiny_bert), **OPTIONS).fit(silent, verbose=0)
    with pytest.raises(InputError, match="backbone reads texts for interests; add that task"):
        MultiTask(backbone=str(tiny_bert), **{**OPTIONS, "tasks": "next_item"}).fit(data, verbose=0)
    with pytest.raises(InputError, match="single string"):
        fitted.interests(["u1"], texts=["a text"])
    with pytest.raises(InputError, match=r"rows do not match \(1 users, 2 texts\)"):
        fitted.interests(["u1"], texts=[[], []])
    deaf = MultiTask(**{**OPTIONS, "epochs": 1}).fit(data, verbose=0)
    with pytest.raises(InputError, match="reads no texts; leave them out, or train it with a backbone"):
        deaf.interests(["u1"], texts=[["a"]])
