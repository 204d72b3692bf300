"""The cross-encoder that trains in bfloat16."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfllmrec.data import Checkerboard
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.recommenders import CrossEncoder, load

HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32)
CANDIDATES = np.array([[1, 20, 4], [5, 6, 2]], np.int32)


def scores_of(ranker: CrossEncoder) -> np.ndarray:
    return ranker.score_candidates(np.array([0, 3], np.int32), HISTORIES, CANDIDATES).numpy()


def policies_of(ranker: CrossEncoder) -> set[str]:
    return {layer.dtype_policy.name for layer in ranker.bert.backbone.layers if layer.weights}


def test_bfloat16_lasts(make: Callable[..., Any], board: Checkerboard, tmp_path: Path) -> None:
    """BERT computes in it, trained and loaded; weights and scores are float32."""
    trained = make("cross_encoder", precision="bfloat16").fit(board.data, verbose=0)
    assert np.isfinite(trained.history["loss"]).all()
    assert policies_of(trained) == {"mixed_bfloat16"}
    assert {weight.dtype for weight in trained.bert.backbone.weights} == {"float32"}
    scores = scores_of(trained)
    assert scores.dtype == np.float32
    assert np.ptp(scores, axis=1).min() > 1e-3
    trained.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert (loaded.config.precision, policies_of(loaded)) == ("bfloat16", {"mixed_bfloat16"})
    np.testing.assert_array_equal(scores_of(loaded), scores)
    texts = [["even film"]], [["odd film 7", "even song"]]
    np.testing.assert_array_equal(loaded.score_texts(*texts)[0], trained.score_texts(*texts)[0])


@pytest.mark.parametrize(("tuning", "rate"), [("full", 5e-5), ("lora", 5e-4), ("frozen", 1e-3)])
def test_what_is_little_learns_faster(board: Checkerboard, tuning: str, rate: float) -> None:
    config = CrossEncoder.config_class
    assert config.for_data(board.data, {"tuning": tuning}).learning_rate == rate
    assert config.for_data(board.data, {"tuning": tuning, "learning_rate": 0.1}).learning_rate == 0.1


def test_what_would_take_days_is_refused(make: Callable[..., Any], board: Checkerboard) -> None:
    """A pass through BERT for every pair."""
    ranker = make("cross_encoder").fit(board.data, verbose=0)
    _, targets = leave_last_out(board.data)
    items = len(board.data.items)
    too_many = targets.take(np.zeros(10_000_000 // items + 1, np.int64))
    asked = f"{len(too_many):,} targets among {items} items are {len(too_many) * items:,} passes through BERT"
    with pytest.raises(InputError, match=f"^cross_encoder: {asked}, of which it does 10,000,000 at most; ask fewer"):
        ranker.evaluate(too_many)
    assert ranker.evaluate(targets.take(np.arange(3)))["ndcg@10"] >= 0
