"""The loss a block at a time against the whole matrix of scores and TensorFlow's own gradients."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.tasks import softmax
from tfllmrec.tasks.softmax import MASKED_SCORE, MaskScores, softmax_loss

QUERIES, CANDIDATES, DIM = 23, 17, 5
RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(QUERIES, DIM)).astype(np.float32)
CANDIDATE = RANDOM.normal(size=(CANDIDATES, DIM)).astype(np.float32)
BIAS = RANDOM.normal(size=CANDIDATES).astype(np.float32)
OWN = RANDOM.integers(0, 5, QUERIES).astype(np.int32)
"""Some candidates are right for several queries, others for none."""
OTHERS_HIDDEN = (RANDOM.random((QUERIES, CANDIDATES)) < 0.4) & (np.arange(CANDIDATES) != OWN[:, None])
DIFFERENT = np.linspace(0, 3, QUERIES, dtype=np.float32)
CASES = {
    "plain": (np.zeros((QUERIES, CANDIDATES), bool), np.ones(QUERIES, np.float32)),
    "some hidden, different weights": (OTHERS_HIDDEN, DIFFERENT),
}

Result = tuple[float, list[np.ndarray]]


@pytest.fixture(params=[(1, 1), (4 * CANDIDATES, 1), (1, 5), (10**6, 1)], ids=["1", "4", "5", "all"])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """How many queries a block has: so many scores at once, or the fewest rows; the last block is ragged."""
    scores, fewest = request.param
    monkeypatch.setattr(softmax, "_SCORES_PER_BLOCK", scores)
    monkeypatch.setattr(softmax, "_MIN_ROWS", fewest)
    return max(scores // CANDIDATES, fewest)


def by_blocks(
    mask: np.ndarray, weights: np.ndarray, smoothing: float, upstream: float = 1.0, precision: str = "float32"
) -> Result:
    """The loss and its gradients in queries, candidates and bias."""
    given = [tf.constant(array) for array in (QUERY, CANDIDATE, BIAS)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = upstream * softmax_loss(
            *given,
            OWN,
            mask_scores=lambda scores, rows: tf.where(tf.constant(mask)[rows], MASKED_SCORE, scores),
            weights=tf.constant(weights),
            label_smoothing=smoothing,
            precision=precision,
        )
    return loss, tape.gradient(loss, given)


def by_the_whole_matrix(mask: np.ndarray, weights: np.ndarray, smoothing: float) -> Result:
    given = [tf.constant(array, tf.float64) for array in (QUERY, CANDIDATE, BIAS)]
    wanted = (1 - smoothing) * np.eye(CANDIDATES)[OWN] + smoothing * ~mask / (~mask).sum(axis=1, keepdims=True)
    with tf.GradientTape() as tape:
        tape.watch(given)
        queries, candidates, bias = given
        scores = tf.where(mask, tf.constant(-1e30, tf.float64), tf.matmul(queries, candidates, transpose_b=True) + bias)
        losses = -tf.reduce_sum(tf.where(mask, 0.0, wanted * tf.nn.log_softmax(scores)), axis=1)
        loss = tf.reduce_sum(losses * weights) / weights.sum()
    return float(loss), [part.numpy() for part in tape.gradient(loss, given)]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("in_graph", [False, True], ids=["eagerly", "in a graph"])
def test_values_and_gradients(rows_at_once: int, in_graph: bool, case: str, smoothing: float) -> None:
    def step() -> Result:
        return by_blocks(*CASES[case], smoothing, upstream=3.0)

    loss, gradients = tf.function(step)() if in_graph else step()
    expected, expected_gradients = by_the_whole_matrix(*CASES[case], smoothing)
    assert float(loss) == pytest.approx(3 * expected, rel=1e-5)
    for found, right in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(found, 3 * right, rtol=1e-4, atol=1e-6)


def test_every_case_is_a_loss_of_its_own() -> None:
    losses = {by_the_whole_matrix(*case, smoothing)[0] for case in CASES.values() for smoothing in (0.0, 0.3)}
    assert len({round(loss, 3) for loss in losses}) == 4


@pytest.mark.parametrize("case", CASES)
def test_in_bfloat16(rows_at_once: int, case: str) -> None:
    """As near as eight bits come: the loss and its gradients, which stay float32."""
    loss, gradients = by_blocks(*CASES[case], 0.1, precision="bfloat16")
    exact, exact_gradients = by_blocks(*CASES[case], 0.1)
    assert float(loss) == pytest.approx(float(exact), rel=5e-3)
    for found, right in zip(gradients, exact_gradients, strict=True):
        assert found.dtype == tf.float32
        assert 0 < np.linalg.norm(found - right) < 0.01 * np.linalg.norm(right)


def test_weights_that_are_all_nothing_are_no_loss() -> None:
    loss, gradients = by_blocks(CASES["plain"][0], np.zeros(QUERIES, np.float32), 0.1)
    assert float(loss) == 0
    assert not any(np.any(gradient) for gradient in gradients)


def test_no_queries_are_no_loss() -> None:
    nothing = np.zeros((0, DIM), np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, DIM])])
    def loss(queries: tf.Tensor) -> tf.Tensor:
        none = queries[:, 0]
        own = tf.cast(none, tf.int32)
        return softmax_loss(queries, CANDIDATE, BIAS, own, mask_scores=lambda scores, rows: scores, weights=none)

    assert float(loss(nothing)) == 0


def test_smoothing_counts_candidates_far_below_the_best() -> None:
    scores = np.array([[0.0], [-120.0], [5.0]], np.float32)
    loss = softmax_loss(
        np.ones((1, 1), np.float32),
        scores,
        np.zeros(3, np.float32),
        np.array([0]),
        mask_scores=lambda scores, rows: scores,
        weights=np.ones(1, np.float32),
        label_smoothing=0.3,
    )
    assert float(loss) == pytest.approx(5.0067 + 0.1 * 115, abs=1e-3)


def test_a_known_answer() -> None:
    """Chances 1/2, 1/4, 1/4; hidden, 2/3 and 1/3."""
    scores, nothing = np.log([[2.0, 1.0, 1.0]]).astype(np.float32), np.zeros(3, np.float32)

    def loss(hide: MaskScores, own: int, label_smoothing: float = 0.0) -> float:
        query, weights = np.ones((1, 1), np.float32), np.ones(1, np.float32)
        return float(
            softmax_loss(
                query,
                scores.T,
                nothing,
                np.array([own]),
                mask_scores=hide,
                weights=weights,
                label_smoothing=label_smoothing,
            )
        )

    def hide_the_last(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        return tf.where([[False, False, True]], MASKED_SCORE, scores)

    def hide_nothing(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        return scores

    assert loss(hide_nothing, 0) == pytest.approx(np.log(2))
    assert loss(hide_nothing, 2) == pytest.approx(np.log(4))
    assert loss(hide_the_last, 0) == pytest.approx(np.log(3 / 2))
    assert loss(hide_nothing, 0, 0.6) == pytest.approx(0.6 * np.log(2) + 0.4 * np.log(4))
    assert loss(hide_the_last, 0, 0.6) == pytest.approx(0.7 * np.log(3 / 2) + 0.3 * np.log(3))


def test_only_ratios_of_weights_count(rows_at_once: int) -> None:
    one, many = (by_blocks(OTHERS_HIDDEN, times * DIFFERENT, 0.1) for times in (1, 64))
    assert float(one[0]) == pytest.approx(float(many[0]), rel=1e-6)
    np.testing.assert_allclose(one[1][1], many[1][1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_large_scores_do_no_harm(smoothing: float) -> None:
    """All as large, so that an exponential without a shift would overflow."""
    loss = softmax_loss(
        np.full((2, 1), 1e3, np.float32),
        np.ones((4, 1), np.float32),
        np.zeros(4, np.float32),
        np.array([0, 3]),
        mask_scores=lambda scores, rows: scores,
        weights=np.ones(2, np.float32),
        label_smoothing=smoothing,
    )
    assert float(loss) == pytest.approx(np.log(4), rel=1e-3)


def test_blocks_are_as_large_as_they_may_be_and_cover_all_queries(rows_at_once: int) -> None:
    """Eagerly, where `hide` sees every block in its turn."""
    blocks = []

    def hide(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        blocks.append((int(rows.start), int(rows.stop), tuple(scores.shape)))
        return scores

    softmax_loss(QUERY, CANDIDATE, BIAS, OWN, mask_scores=hide, weights=tf.ones(QUERIES))
    starts = range(0, QUERIES, rows_at_once)
    assert blocks == [
        (start, min(start + rows_at_once, QUERIES), (min(rows_at_once, QUERIES - start), CANDIDATES))
        for start in starts
    ]


def test_many_candidates_do_not_make_blocks_of_a_row_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "_SCORES_PER_BLOCK", 2 * CANDIDATES)
    sizes = []

    def hide(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        sizes.append(scores.shape[0])
        return scores

    softmax_loss(
        np.tile(QUERY, (6, 1)), CANDIDATE, BIAS, np.tile(OWN, 6), mask_scores=hide, weights=tf.ones(6 * QUERIES)
    )
    assert sizes == [64, 64, 10]


def graphs_of(step: Callable[..., object]) -> tuple[tf.Graph, list[tf.Graph]]:
    """The graph of a step over `QUERIES` x `CANDIDATES`, shapes known, and the graphs of its loops' bodies."""
    outer = tf.function(step, input_signature=[tf.TensorSpec(part.shape) for part in (QUERY, CANDIDATE, BIAS)])
    graph = outer.get_concrete_function().graph
    loops = [operation for operation in graph.get_operations() if operation.type in ("While", "StatelessWhile")]
    return graph, [graph._get_function(loop.get_attr("body").name).graph for loop in loops]


def scores_in(graph: tf.Graph) -> list[tf.Tensor]:
    """Tensors as wide as there are candidates, of more rows than one."""
    tensors = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    return [part for part in tensors if part.shape.rank == 2 and part.shape[1] == CANDIDATES and part.shape[0] != 1]


def training_step(loss_of: Callable[..., tf.Tensor]) -> Callable[..., object]:
    def step(*given: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = loss_of(*given)
        return tape.gradient(loss, given)

    return step


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_all_scores_are_never_in_memory_at_once(smoothing: float) -> None:
    """One loop, whose turns keep their scores to themselves; the backward pass has none of its own to keep any for."""

    def loss(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        weights = tf.ones(QUERIES)
        options = {"mask_scores": lambda scores, rows: scores, "weights": weights, "label_smoothing": smoothing}
        return softmax_loss(queries, candidates, bias, OWN, **options)

    graph, bodies = graphs_of(training_step(loss))
    assert scores_in(graph) == []
    [body] = bodies
    assert {tensor.shape[0] for tensor in scores_in(body)} == {None}  # a block, whose rows are counted when it runs
    assert not any(tensor.shape.rank == 2 and tensor.shape[1] == CANDIDATES for tensor in body.outputs)


def test_that_would_find_all_scores() -> None:
    """The check above on a loss that has them in memory, and on one that keeps them for the backward pass."""

    def whole(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(queries, candidates, transpose_b=True) + bias
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(OWN, scores))

    def kept(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        def turn(row: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return row + 1, total + whole_row(queries[row], candidates, bias)

        return tf.while_loop(lambda row, _: row < QUERIES, turn, (0, 0.0))[1]

    def whole_row(query: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.reduce_logsumexp(tf.linalg.matvec(candidates, query) + bias)

    assert scores_in(graphs_of(training_step(whole))[0])
    assert len(graphs_of(training_step(kept))[1]) == 2
