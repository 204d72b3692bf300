from importlib import import_module

import numpy as np
import pytest

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation import metrics
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets

USERS, ITEMS, K = 80, 40, 10


@pytest.fixture(scope="module")
def scored_targets() -> tuple[np.ndarray, Targets]:
    rng = np.random.default_rng(7)
    orders = [rng.permutation(ITEMS) + 1 for _ in range(USERS)]
    histories = Histories.from_rows([order[1 : 1 + rng.integers(0, 15)] for order in orders])
    targets = Targets(np.arange(USERS, dtype=np.int32), histories, np.array([o[0] for o in orders], np.int32))
    return rng.normal(size=(USERS, ITEMS + 1)).astype(np.float32), targets


@pytest.fixture(scope="module")
def by_ranx(scored_targets: tuple[np.ndarray, Targets]) -> dict[str, np.ndarray]:
    """Every metric of every user, computed by ranx."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes half a minute
        ranx = import_module("ranx")
    matrix, targets = scored_targets
    relevant, scores = {}, {}
    for user, target in enumerate(targets.items):
        unseen = np.setdiff1d(np.arange(1, ITEMS + 1), targets.histories.row(user))
        relevant[f"{user:03}"] = {str(target): 1}
        scores[f"{user:03}"] = {str(item): float(matrix[user, item]) for item in unseen}
    names = [f"{name}@{K}" for name in ("ndcg", "recall", "hit_rate", "mrr", "precision", "f1")]
    return ranx.evaluate(ranx.Qrels(relevant), ranx.Run(scores), names, return_mean=False)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (metrics.ndcg, "ndcg"),
        (metrics.recall, "recall"),
        (metrics.recall, "hit_rate"),
        (metrics.mrr, "mrr"),
        (metrics.precision, "precision"),
        (metrics.f1, "f1"),
    ],
)
def test_metrics_match_ranx(scored_targets, by_ranx, metric, name: str) -> None:
    matrix, targets = scored_targets
    expected = by_ranx[f"{name}@{K}"]
    ranks = rank_targets(lambda users, _: matrix[users], targets, 5).ranks
    assert 0 < np.count_nonzero(expected) < USERS
    np.testing.assert_allclose(metric(ranks, K), expected, atol=1e-6)


def test_ranks_around_k() -> None:
    ranks = np.array([1, 10, 11])
    np.testing.assert_allclose(metrics.ndcg(ranks, 10), [1, 1 / np.log2(11), 0])
    np.testing.assert_allclose(metrics.mrr(ranks, 10), [1, 0.1, 0])
    np.testing.assert_allclose(metrics.f1(ranks, 10), [2 / 11, 2 / 11, 0])


def test_coverage_counts_distinct_items() -> None:
    assert metrics.coverage(np.array([[3, 1, 0], [1, 0, 0]]), 8) == 0.25


def test_novelty_is_self_information() -> None:
    counts = np.array([99, 7, 3, 1, 1])  # smoothed 8, 4, 2, 2 of 16
    assert metrics.novelty(np.array([[1, 2], [3, 0]]), counts) == pytest.approx((1 + 2 + 3) / 3)
    assert metrics.novelty(np.array([[1]]), np.zeros(1025, int)) == 10


def test_summary_starts_with_ndcg() -> None:
    ranking = RankedTargets(np.array([1, 3, 4]), np.array([[1, 2, 3], [2, 1, 3], [2, 3, 1]]))
    summary = metrics.summarise(ranking, np.array([0, 1, 1, 1]), k=2)
    names = ["ndcg@2", "recall@2", "mrr@2", "precision@2", "f1@2", "coverage@2", "novelty@2"]
    assert list(summary) == names
    expected = [1 / 3, 1 / 3, 1 / 3, 1 / 6, 2 / 9, 1, np.log2(3)]
    np.testing.assert_allclose(list(summary.values()), expected)
    assert {type(value) for value in summary.values()} == {float}


def test_summary_of_shorter_lists_raises() -> None:
    with pytest.raises(InputError, match="made with k=2"):
        metrics.summarise(RankedTargets(np.array([1]), np.array([[1, 2]])), np.array([0, 1, 1]))
