"""The cross-encoder that trains in bfloat16."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfllmrec.data import Checkerboard
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
