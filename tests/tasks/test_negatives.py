"""Negative samplers against known candidates; `full` gives the exact softmax, `mixed` approximates it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.tasks.negatives import (
    Candidates,
    Negatives,
    NegativeSampler,
    full,
    in_batch,
    mixed,
    negative_sampler,
    sampled,
)
from tfllmrec.tasks.retrieval import Retrieval

COUNTS = np.array([0, 6, 3, 1, 0])
TARGETS = tf.constant([1, 3, 1])


def assert_candidates(candidates: Candidates, items: list[int], probability: list[float] | None) -> None:
    np.testing.assert_array_equal(candidates.items, items)
    if probability is None:
        assert candidates.sampling_probability is None
    else:
        np.testing.assert_allclose(candidates.sampling_probability, probability, rtol=1e-6)


def assert_hides_other_targets_and_accidental_hits(candidates: Candidates) -> None:
    others = candidates.items.numpy()[3:]
    mask = np.hstack([np.eye(3, dtype=bool), TARGETS.numpy()[:, None] != others])
    np.testing.assert_array_equal(candidates.score_mask, mask)


def test_in_batch() -> None:
    candidates = in_batch(COUNTS)(TARGETS)
    assert_candidates(candidates, [1, 3, 1], [0.6, 0.1, 0.6])
    assert candidates.score_mask is None


def test_full() -> None:
    candidates = full(COUNTS)(TARGETS)
    assert_candidates(candidates, [1, 3, 1, 1, 2, 3], None)  # item 4 has no interactions
    assert_hides_other_targets_and_accidental_hits(candidates)


def test_sampled() -> None:
    candidates = sampled(COUNTS, 50)(TARGETS)
    np.testing.assert_array_equal(candidates.items[:3], TARGETS)
    assert set(candidates.items.numpy()[3:]) == {1, 2, 3}
    assert candidates.sampling_probability is None
    assert_hides_other_targets_and_accidental_hits(candidates)


def test_mixed() -> None:
    candidates = mixed(COUNTS, 50)(TARGETS)
    np.testing.assert_array_equal(candidates.items[:3], TARGETS)
    assert set(candidates.items.numpy()[3:]) == {1, 2, 3}
    expected_count = 3 * COUNTS / 10 + 50 / 3
    assert_candidates(candidates, list(candidates.items.numpy()), (expected_count / 53)[candidates.items])
    assert candidates.score_mask is None


def test_mixed_probabilities_are_expected_shares() -> None:
    """A sum over the candidates, each divided by its probability, then estimates the sum over the catalog."""
    tf.random.set_seed(0)
    random, draw = np.random.default_rng(0), mixed(COUNTS, 200)
    scores = np.array([0, 9, 1, 4, 0])
    seen, stated, corrected, uncorrected = np.zeros(5), np.zeros(5), [], []
    for _ in range(100):
        targets = random.choice(5, size=100, p=COUNTS / 10).astype(np.int32)
        items, probability, _ = (part if part is None else part.numpy() for part in draw(tf.constant(targets)))
        seen += np.bincount(items, minlength=5)
        stated[items] = probability
        corrected.append(np.mean(scores[items] / probability))
        uncorrected.append(np.mean(scores[items]) * 3)
    np.testing.assert_allclose(seen / seen.sum(), stated, atol=0.005)
    assert np.mean(corrected) == pytest.approx(scores.sum(), rel=0.01)
    assert np.mean(uncorrected) != pytest.approx(scores.sum(), rel=0.05)


@pytest.mark.parametrize("draw", [mixed(COUNTS, 9), sampled(COUNTS, 9)])
def test_every_batch_is_sampled_anew(draw: object) -> None:
    step = tf.function(lambda: draw(TARGETS).items)
    assert len({tuple(step().numpy()) for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("in_batch", in_batch(COUNTS)),
        ("mixed", mixed(COUNTS, 7, 1)),
        ("sampled", sampled(COUNTS, 7, 1)),
        ("full", full(COUNTS)),
    ],
)
def test_negative_sampler_by_name(name: Negatives, expected: NegativeSampler) -> None:
    for actual, correct in zip(negative_sampler(name, COUNTS, 7, 1)(TARGETS), expected(TARGETS), strict=True):
        assert (actual is None) == (correct is None)
        assert actual is None or np.array_equal(actual, correct)


class Problem:
    """Queries, item vectors, and the exact softmax over the whole catalog in NumPy."""

    def __init__(self, items: int, queries: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.vectors = random.normal(size=(items + 1, 4)).astype(np.float32)
        self.queries = random.normal(size=(queries, 4)).astype(np.float32)
        self.counts = np.concatenate([[0], random.zipf(1.6, items).clip(max=200)])
        self.targets = random.choice(items + 1, queries, p=self.counts / self.counts.sum()).astype(np.int32)

    def exact(self) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient with respect to the queries."""
        logits = self.queries.astype(np.float64) @ self.vectors[1:].T
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        own = np.take_along_axis(probabilities, self.targets[:, None] - 1, axis=1)
        gradient = probabilities @ self.vectors[1:] - self.vectors[self.targets]
        return float(-np.log(own).mean()), gradient / len(self.queries)

    def estimate(self, candidates: Candidates, **options: Any) -> tuple[float, np.ndarray]:
        """Return loss and gradient of the TFRS task."""
        queries = tf.constant(self.queries)
        with tf.GradientTape() as tape:
            tape.watch(queries)
            loss = Retrieval(**options)(
                queries,
                tf.gather(self.vectors, candidates.items),
                candidate_ids=candidates.items,
                candidate_sampling_probability=candidates.sampling_probability,
                score_mask=candidates.score_mask,
            )
        return float(loss), tape.gradient(loss, queries).numpy()


@pytest.mark.parametrize(("items", "queries"), [(300, 6), (7, 64)], ids=["few repeats", "many repeats"])
@pytest.mark.parametrize("remove_accidental_hits", [True, False])  # hidden by `full` itself
def test_full_is_the_exact_softmax(items: int, queries: int, remove_accidental_hits: bool) -> None:
    problem = Problem(items, queries)
    assert (len(set(problem.targets)) < queries) == (queries > items)
    candidates = full(problem.counts)(tf.constant(problem.targets))
    loss, gradient = problem.estimate(candidates, remove_accidental_hits=remove_accidental_hits)
    exact, exact_gradient = problem.exact()
    assert loss == pytest.approx(exact, abs=1e-5)
    np.testing.assert_allclose(gradient, exact_gradient, atol=1e-6)


SEEDED = pytest.mark.parametrize(
    "make", [lambda seed: mixed(COUNTS, 30, seed), lambda seed: sampled(COUNTS, 30, seed)], ids=["mixed", "sampled"]
)


@SEEDED
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_seed_generator_resumes_from_its_state(make: Callable[..., NegativeSampler], in_graph: bool) -> None:
    generator = keras.random.SeedGenerator(3)
    draw = make(generator)

    def step() -> tf.Tensor:
        return draw(TARGETS).items

    step = tf.function(step) if in_graph else step
    step()
    state = generator.state.numpy()
    drawn = [tuple(step().numpy()) for _ in range(4)]
    assert len(set(drawn)) == 4
    generator.state.assign(state)
    assert [tuple(step().numpy()) for _ in range(4)] == drawn
    copy = keras.random.SeedGenerator(99)
    copy.state.assign(state)
    assert tuple(make(copy)(TARGETS).items.numpy()) == drawn[0]


@SEEDED
def test_an_integer_seed_gives_the_same_draw_in_every_step(make: Callable[..., NegativeSampler]) -> None:
    first, second = make(1), make(2)
    drawn = {tuple(first(TARGETS).items.numpy()) for _ in range(3)} | {tuple(make(1)(TARGETS).items.numpy())}
    assert len(drawn) == 1
    assert tuple(second(TARGETS).items.numpy()) not in drawn
