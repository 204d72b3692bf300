"""The blockwise loss against the full score matrix and TensorFlow's own gradients."""

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
"""Some candidates are the target of several queries, others of none."""
OTHERS_HIDDEN = (RANDOM.random((QUERIES, CANDIDATES)) < 0.4) & (np.arange(CANDIDATES) != OWN[:, None])
DIFFERENT = np.linspace(0, 3, QUERIES, dtype=np.float32)
CASES = {
    "plain": (np.zeros((QUERIES, CANDIDATES), bool), np.ones(QUERIES, np.float32)),
    "some hidden, different weights": (OTHERS_HIDDEN, DIFFERENT),
}

Result = tuple[float, list[np.ndarray]]


@pytest.fixture(params=[(1, 1), (4 * CANDIDATES, 1), (1, 5), (10**6, 1)], ids=["1", "4", "5", "all"])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Rows per block, set by the limit of scores or by the minimum number of rows; the last block is smaller."""
    scores, fewest = request.param
    monkeypatch.setattr(softmax, "_SCORES_PER_BLOCK", scores)
    monkeypatch.setattr(softmax, "_MIN_ROWS", fewest)
    return max(scores // CANDIDATES, fewest)


def by_blocks(
    mask: np.ndarray, weights: np.ndarray, smoothing: float, upstream: float = 1.0, precision: str = "float32"
) -> Result:
    """Return the loss and its gradients with respect to queries, candidates and bias."""
    inputs = [tf.constant(array) for array in (QUERY, CANDIDATE, BIAS)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = upstream * softmax_loss(
            *inputs,
            OWN,
            mask_scores=lambda scores, rows: tf.where(tf.constant(mask)[rows], MASKED_SCORE, scores),
            weights=tf.constant(weights),
            label_smoothing=smoothing,
            precision=precision,
        )
    return loss, tape.gradient(loss, inputs)


def by_full_matrix(mask: np.ndarray, weights: np.ndarray, smoothing: float) -> Result:
    inputs = [tf.constant(array, tf.float64) for array in (QUERY, CANDIDATE, BIAS)]
    labels = (1 - smoothing) * np.eye(CANDIDATES)[OWN] + smoothing * ~mask / (~mask).sum(axis=1, keepdims=True)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        queries, candidates, bias = inputs
        scores = tf.where(mask, tf.constant(-1e30, tf.float64), tf.matmul(queries, candidates, transpose_b=True) + bias)
        losses = -tf.reduce_sum(tf.where(mask, 0.0, labels * tf.nn.log_softmax(scores)), axis=1)
        loss = tf.reduce_sum(losses * weights) / weights.sum()
    return float(loss), [part.numpy() for part in tape.gradient(loss, inputs)]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_values_and_gradients(rows_at_once: int, in_graph: bool, case: str, smoothing: float) -> None:
    def step() -> Result:
        return by_blocks(*CASES[case], smoothing, upstream=3.0)

    loss, gradients = tf.function(step)() if in_graph else step()
    expected, expected_gradients = by_full_matrix(*CASES[case], smoothing)
    assert float(loss) == pytest.approx(3 * expected, rel=1e-5)
    for actual, correct in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(actual, 3 * correct, rtol=1e-4, atol=1e-6)


def test_cases_have_different_losses() -> None:
    losses = {by_full_matrix(*case, smoothing)[0] for case in CASES.values() for smoothing in (0.0, 0.3)}
    assert len({round(loss, 3) for loss in losses}) == 4


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_is_close_to_float32(rows_at_once: int, case: str) -> None:
    """Loss and gradients agree within eight bits; gradients stay float32."""
    loss, gradients = by_blocks(*CASES[case], 0.1, precision="bfloat16")
    exact, exact_gradients = by_blocks(*CASES[case], 0.1)
    assert float(loss) == pytest.approx(float(exact), rel=5e-3)
    for actual, correct in zip(gradients, exact_gradients, strict=True):
        assert actual.dtype == tf.float32
        assert 0 < np.linalg.norm(actual - correct) < 0.01 * np.linalg.norm(correct)


def test_zero_weights_give_zero_loss() -> None:
    loss, gradients = by_blocks(CASES["plain"][0], np.zeros(QUERIES, np.float32), 0.1)
    assert float(loss) == 0
    assert not any(np.any(gradient) for gradient in gradients)


def test_no_queries_give_zero_loss() -> None:
    empty = np.zeros((0, DIM), np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, DIM])])
    def loss(queries: tf.Tensor) -> tf.Tensor:
        weights = queries[:, 0]
        own = tf.cast(weights, tf.int32)
        return softmax_loss(queries, CANDIDATE, BIAS, own, mask_scores=lambda scores, rows: scores, weights=weights)

    assert float(loss(empty)) == 0


def test_smoothing_with_very_low_scores() -> None:
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


def test_known_losses() -> None:
    """Probabilities are 1/2, 1/4, 1/4; with the last candidate hidden, 2/3 and 1/3."""
    scores, bias = np.log([[2.0, 1.0, 1.0]]).astype(np.float32), np.zeros(3, np.float32)

    def loss(hide: MaskScores, own: int, label_smoothing: float = 0.0) -> float:
        query, weights = np.ones((1, 1), np.float32), np.ones(1, np.float32)
        return float(
            softmax_loss(
                query,
                scores.T,
                bias,
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


def test_weights_are_relative(rows_at_once: int) -> None:
    single, scaled = (by_blocks(OTHERS_HIDDEN, times * DIFFERENT, 0.1) for times in (1, 64))
    assert float(single[0]) == pytest.approx(float(scaled[0]), rel=1e-6)
    np.testing.assert_allclose(single[1][1], scaled[1][1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_large_scores_do_not_overflow(smoothing: float) -> None:
    """An exponential without a shift would overflow."""
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


def test_blocks_cover_all_queries(rows_at_once: int) -> None:
    """Runs eagerly, so that `hide` is called with every block."""
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


def test_blocks_have_a_minimum_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "_SCORES_PER_BLOCK", 2 * CANDIDATES)
    sizes = []

    def hide(scores: tf.Tensor, rows: slice) -> tf.Tensor:
        sizes.append(scores.shape[0])
        return scores

    softmax_loss(
        np.tile(QUERY, (6, 1)), CANDIDATE, BIAS, np.tile(OWN, 6), mask_scores=hide, weights=tf.ones(6 * QUERIES)
    )
    assert sizes == [64, 64, 10]


def step_graphs(step: Callable[..., object]) -> tuple[tf.Graph, list[tf.Graph]]:
    """Return the graph of a step with static shapes, and the graphs of its loop bodies."""
    outer = tf.function(step, input_signature=[tf.TensorSpec(part.shape) for part in (QUERY, CANDIDATE, BIAS)])
    graph = outer.get_concrete_function().graph
    loops = [operation for operation in graph.get_operations() if operation.type in ("While", "StatelessWhile")]
    return graph, [graph._get_function(loop.get_attr("body").name).graph for loop in loops]


def score_tensors(graph: tf.Graph) -> list[tf.Tensor]:
    """Return tensors with a column per candidate and more than one row."""
    tensors = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    return [part for part in tensors if part.shape.rank == 2 and part.shape[1] == CANDIDATES and part.shape[0] != 1]


def training_step(loss_of: Callable[..., tf.Tensor]) -> Callable[..., object]:
    def step(*inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = loss_of(*inputs)
        return tape.gradient(loss, inputs)

    return step


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_scores_are_held_one_block_at_a_time(smoothing: float) -> None:
    """There is one loop, and no iteration passes scores on; the backward pass has no loop that would need them."""

    def loss(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        weights = tf.ones(QUERIES)
        options = {"mask_scores": lambda scores, rows: scores, "weights": weights, "label_smoothing": smoothing}
        return softmax_loss(queries, candidates, bias, OWN, **options)

    graph, bodies = step_graphs(training_step(loss))
    assert score_tensors(graph) == []
    [body] = bodies
    assert {tensor.shape[0] for tensor in score_tensors(body)} == {None}  # blocks have a dynamic number of rows
    assert not any(tensor.shape.rank == 2 and tensor.shape[1] == CANDIDATES for tensor in body.outputs)


def test_memory_check_detects_full_scores() -> None:
    """The check above fails for a loss with a full matrix, and for a loop that keeps scores for the backward pass."""

    def whole(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(queries, candidates, transpose_b=True) + bias
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(OWN, scores))

    def kept(queries: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        def step(row: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return row + 1, total + whole_row(queries[row], candidates, bias)

        return tf.while_loop(lambda row, _: row < QUERIES, step, (0, 0.0))[1]

    def whole_row(query: tf.Tensor, candidates: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.reduce_logsumexp(tf.linalg.matvec(candidates, query) + bias)

    assert score_tensors(step_graphs(training_step(whole))[0])
    assert len(step_graphs(training_step(kept))[1]) == 2
