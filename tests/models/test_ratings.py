"""Rankers with the objective "rating": training data and errors of predicted ratings."""

import numpy as np
import pandas as pd
import pytest

from tfllmrec import TwoTower
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ratings import rmse
from tfllmrec.models.ranker import training
from tfllmrec.models.registry import load_model, model_class

USERS, ITEMS = 60, 12
TOWERS = {"dim": 8, "hidden_units": 8, "epochs": 1}
OPTIONS = {
    "bert_ranker": {"towers": TOWERS, "hidden_units": 16, "dropout": 0.0, "learning_rate": 2e-2},
    "cross_encoder": {"history_tokens": 6, "text_length": 6, "learning_rate": 3e-3, "batch_size": 32},
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Good films are rated 5 and bad ones 1; interactions carry no other signal."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, time) for user in range(USERS) for time, item in enumerate(random.permutation(ITEMS)[:8])
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).astype({"item_id": str})
    good = table["item_id"].astype(int) % 2 == 0
    ids = [str(number) for number in range(ITEMS)]
    titles = [f"{'good' if number % 2 == 0 else 'bad'} film" for number in range(ITEMS)]
    return Dataset.from_frames(
        table.assign(rating=np.where(good, 5.0, 1.0)), pd.DataFrame({"item_id": ids, "title": titles})
    )


@pytest.mark.parametrize("family", [pytest.param("bert_ranker", marks=pytest.mark.slow), "cross_encoder"])
def test_ratings_are_learnt_and_survive_saving(family, data, tiny_bert, tmp_path):
    split = leave_one_out(data)
    options = {
        "objective": "rating",
        "history_length": 4,
        "epochs": 10,
        "patience": 10,
        "ema": 0.5,
        "backbone": str(tiny_bert),
    }
    ranker = model_class(family)(**options, **OPTIONS[family]).fit(split.train, split.validation, verbose=0)
    expected = ranker.predict_ratings(split.test)
    assert expected.shape == (len(split.test),)
    constant = rmse(np.full(len(split.test), data.ratings.mean()), split.test.ratings)
    assert rmse(expected, split.test.ratings) < constant / 2
    best = int(np.argmin(ranker.training_log["val_rmse"])) + 1
    assert ranker.refit_config().epochs == best
    assert min(ranker.training_log["val_rmse"]) == pytest.approx(
        rmse(ranker.predict_ratings(split.validation), split.validation.ratings), rel=1e-4
    )
    ranker.save(tmp_path / "saved")
    np.testing.assert_allclose(load_model(tmp_path / "saved").predict_ratings(split.test), expected, rtol=1e-5)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("family", OPTIONS)
def test_ratings_start_at_their_mean(family, data, tiny_bert, monkeypatch):
    """Empty histories are no exception: popularity is not a rating. The towers are not fine-tuned."""
    monkeypatch.setattr(TwoTower, "fit_more", lambda *_, **__: pytest.fail("the towers have seen all interactions"))
    options = {**OPTIONS[family], "objective": "rating", "history_length": 4}
    ranker = model_class(family)(**options, backbone=str(tiny_bert)).fit(data, verbose=0)
    [bias] = [weight.numpy() for weight in ranker.model.weights if weight.path in ("added/bias", "score/bias")]
    np.testing.assert_allclose(bias, [data.ratings.mean()], rtol=1e-5)
    candidates = np.array([[1, 2, 3]], np.int32)
    scores = ranker.predictor.score_candidates(np.zeros(1, np.int32), np.zeros((1, 4), np.int32), candidates)["scores"]
    popular = np.log1p(data.item_counts[candidates])
    assert np.abs(scores - popular).min() > 1e-3
    if family == "bert_ranker":  # an untrained head adds 0
        np.testing.assert_allclose(scores, np.full((1, 3), data.ratings.mean()), rtol=1e-5)


def test_a_resumed_fit_has_the_batches_of_an_uninterrupted_one(data, configured):
    batches_from = training._batches(configured("bert_ranker", objective="rating", batch_size=50).config, data, None)

    def users(batches):
        return [features["user"].tolist() for features, _ in batches.as_numpy_iterator()]

    uninterrupted = batches_from(0)
    first, second = users(uninterrupted), users(uninterrupted)
    assert users(batches_from(1)) == second != first


def test_data_without_ratings_are_refused(data, tiny_bert):
    unrated = Dataset.from_frames(data.interactions.drop(columns="rating"), data.items)
    ranker = model_class("bert_ranker")(objective="rating", backbone=str(tiny_bert), history_length=4, towers=TOWERS)
    with pytest.raises(InputError, match="column rating is missing"):
        ranker.fit(unrated, verbose=0)
