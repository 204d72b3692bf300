from collections.abc import Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation import blocks, ranking
from tfllmrec.evaluation.ranking import RankedTargets, Scorer, rank_targets


def targets_of(histories: Sequence[Sequence[int]], items: Sequence[int]) -> Targets:
    users = np.arange(len(items), dtype=np.int32)
    return Targets(users, Histories.from_rows(histories), np.array(items, dtype=np.int32))


def scorer_of(matrix: np.ndarray) -> Scorer:
    return lambda users, _: tf.constant(matrix[users], tf.float32)


def by_brute_force(matrix: np.ndarray, targets: Targets, k: int) -> RankedTargets:
    ranks, top = [], []
    for row, (scores, target) in enumerate(zip(matrix, targets.items, strict=True)):
        unseen = [item for item in range(1, len(scores)) if item not in targets.histories.row(row)]
        ranks.append(1 + sum(scores[item] >= scores[target] for item in unseen if item != target))
        best = sorted(unseen, key=lambda item: -scores[item])[:k]
        top.append(best + [0] * (k - len(best)))
    return RankedTargets(np.array(ranks), np.array(top))


@st.composite
def scored_targets_strategy(draw: st.DrawFn) -> tuple[np.ndarray, Targets]:
    """Draw scores with many ties, and histories from empty to nearly the whole catalog."""
    items = draw(st.integers(1, 12))
    count = draw(st.integers(1, 7))
    targets = draw(st.lists(st.integers(1, items), min_size=count, max_size=count))
    histories = [
        draw(st.lists(st.integers(0, items).filter(lambda item, target=target: item != target), max_size=15))
        for target in targets
    ]
    seed = draw(st.integers(0, 1000))
    matrix = np.random.default_rng(seed).integers(0, draw(st.integers(1, 20)), (count, items + 1))
    return matrix.astype(np.float32), targets_of(histories, targets)


@settings(max_examples=150, deadline=None)
@given(scored_targets_strategy(), st.integers(1, 14), st.integers(1, 8))
def test_rank_targets_matches_brute_force(scored_targets: tuple[np.ndarray, Targets], k: int, block: int) -> None:
    matrix, targets = scored_targets
    result, expected = (
        rank_targets(scorer_of(matrix), targets, 3, k=k, block=block),
        by_brute_force(matrix, targets, k),
    )
    np.testing.assert_array_equal(result.ranks, expected.ranks)
    np.testing.assert_array_equal(result.top, expected.top)
    assert (result.ranks.dtype, result.top.dtype) == (np.int64, np.int32)


@settings(max_examples=60, deadline=None)
@given(scored_targets_strategy(), st.data())
def test_item_subset_ranks_only_these_items(scored_targets: tuple[np.ndarray, Targets], drawn: st.DataObject) -> None:
    """The result equals that of a ranking in which all other items were seen."""
    matrix, targets = scored_targets
    all_items = set(range(1, matrix.shape[1]))
    more = drawn.draw(st.sets(st.sampled_from(sorted(all_items))))
    item_subset = np.array(sorted({*targets.items.tolist(), *more}), np.int32)
    others = sorted(all_items - set(item_subset.tolist()))
    hidden = targets_of([[*row, *others] for row in map(targets.histories.row, range(len(targets)))], targets.items)
    result, expected = (
        rank_targets(scorer_of(matrix), targets, 3, k=5, item_subset=item_subset),
        by_brute_force(matrix, hidden, 5),
    )
    np.testing.assert_array_equal(result.ranks, expected.ranks)
    np.testing.assert_array_equal(result.top, expected.top)


def test_targets_outside_the_item_subset_raise() -> None:
    with pytest.raises(InputError, match=r"^targets: 1 of 2 are not among the items to rank; leave them out$"):
        rank_targets(scorer_of(np.zeros((2, 5))), targets_of([[], []], [1, 3]), 3, item_subset=np.array([3, 4]))


@pytest.mark.parametrize("k", [1, 10, 100])
def test_ties_in_many_columns(k: int) -> None:
    matrix = np.random.default_rng(k).integers(0, 6, (4, 350)).astype(np.float32)
    targets = targets_of([[1, 2, 349], [], [33], [5] * 3], [7, 349, 1, 64])
    np.testing.assert_array_equal(
        rank_targets(scorer_of(matrix), targets, 3, k=k).top, by_brute_force(matrix, targets, k).top
    )


def test_known_ranks() -> None:
    targets = targets_of([[4, 1], []], [3, 2])
    matrix = np.array([[9, 9, 3, 2, 8, 1], [9, 5, 1, 4, 3, 2]])
    result = rank_targets(scorer_of(matrix), targets, 50, k=4)
    np.testing.assert_array_equal(result.ranks, [2, 5])
    np.testing.assert_array_equal(result.top, [[2, 3, 5, 0], [1, 3, 4, 5]])


def test_ties_count_against_the_model() -> None:
    result = rank_targets(scorer_of(np.ones((2, 11))), targets_of([[], [1, 2, 3]], [5, 5]), 50)
    np.testing.assert_array_equal(result.ranks, [10, 7])


def test_a_seen_target_is_ranked_among_unseen_items() -> None:
    result = rank_targets(scorer_of(np.array([[0, 1, 2, 3]])), targets_of([[2]], [2]), 50, k=3)
    np.testing.assert_array_equal(result.ranks, [2])
    np.testing.assert_array_equal(result.top, [[3, 1, 0]])


def test_history_is_truncated_for_the_model_but_not_for_the_filter() -> None:
    inputs = []

    def score(users: np.ndarray, histories: np.ndarray) -> tf.Tensor:
        inputs.append(histories)
        return tf.zeros([len(users), 6])

    result = rank_targets(score, targets_of([[1, 2, 3]], [5]), 2)
    np.testing.assert_array_equal(inputs, [[[2, 3]]])
    np.testing.assert_array_equal(result.ranks, [2])


def test_block_size_does_not_change_results() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(103, 41))
    targets = targets_of([rng.integers(1, 31, rng.integers(0, 20)) for _ in range(103)], rng.integers(31, 41, 103))
    expected = rank_targets(scorer_of(matrix), targets, 7)
    for block in (1, 10, 102, 1000):
        shapes = set()

        def score(users: np.ndarray, histories: np.ndarray, shapes: set = shapes) -> tf.Tensor:
            shapes.add((users.shape, histories.shape))
            return scorer_of(matrix)(users, histories)

        result = rank_targets(score, targets, 7, block=block)
        assert shapes == {((min(block, 103),), (min(block, 103), 7))}
        np.testing.assert_array_equal(result.ranks, expected.ranks)
        np.testing.assert_array_equal(result.top, expected.top)


def test_blocks_are_smaller_for_a_large_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores of a block stay below a limit."""
    monkeypatch.setattr(blocks, "MOST_CELLS", 100)
    matrix = np.random.default_rng(0).normal(size=(7, 31)).astype(np.float32)
    sizes: set[int] = set()

    def score(users: np.ndarray, histories: np.ndarray) -> tf.Tensor:
        sizes.add(len(users))
        return tf.constant(matrix[users])

    targets = targets_of([[1]] * 7, [30, 2, 3, 4, 5, 6, 7])
    ranks = rank_targets(score, targets, 4).ranks
    assert sizes == {100 // 31}
    np.testing.assert_array_equal(ranks, by_brute_force(matrix, targets, 10).ranks)


def test_all_shapes_share_one_trace() -> None:
    for items, k, block in ((5, 3, 2), (9, 4, 3), (50, 10, 512)):
        rank_targets(scorer_of(np.zeros((7, items + 1))), targets_of([[1]] * 7, [2] * 7), 4, k=k, block=block)
    assert ranking._rank_block.experimental_get_tracing_count() == 1


def test_a_keras_model_is_a_scorer() -> None:
    class Model(keras.Model):
        def call(self, users: tf.Tensor, histories: tf.Tensor) -> tf.Tensor:
            return tf.one_hot(histories[:, 0] + 1 - users, 6)

    result = rank_targets(Model(), targets_of([[1], [3]], [2, 5]), 4)
    np.testing.assert_array_equal(result.ranks, [1, 4])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_raise(bad: float) -> None:
    matrix = np.zeros((5, 9))
    matrix[3, 2:5] = bad
    with pytest.raises(InputError, match=r"3 of the 2 x 8 scores for targets 2 to 3 are NaN or infinite"):
        rank_targets(scorer_of(matrix), targets_of([[2]] * 5, [6] * 5), 4, block=2)


def test_the_score_of_the_padding_is_ignored() -> None:
    matrix = np.array([[-np.inf, 1, 2]])
    np.testing.assert_array_equal(rank_targets(scorer_of(matrix), targets_of([[]], [2]), 4).ranks, [1])


@pytest.mark.parametrize("shape", [(2, 4), (3, 5), (2,)])
def test_scores_of_a_wrong_shape_raise(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected 2 rows"):
        rank_targets(lambda *_: tf.zeros(shape), targets_of([[4], []], [1, 2]), 4)


def test_empty_or_unknown_targets_raise() -> None:
    with pytest.raises(InputError, match="there are no targets"):
        rank_targets(scorer_of(np.zeros((0, 3))), targets_of([], []), 4)
    with pytest.raises(InputError, match="1 of 2 have the unknown item"):
        rank_targets(scorer_of(np.zeros((2, 3))), targets_of([[], []], [0, 1]), 4)
