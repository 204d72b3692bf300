"""Approximate retrieval by ScaNN, for catalogs of millions of items."""

import hashlib
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from math import isqrt
from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.id_mapper import IdMapper
from tfllmrec.export.target import Target
from tfllmrec.layers.top_items import LOWEST, top_k
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.cores import best_items_core, call_model
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.signature import Outputs, Signature
from tfllmrec.quiet import suppress_stderr

INDICES = ("exact", "scann")
"""The kinds of retrieval: all items are scored, or those that ScaNN searches."""
_FEWEST_ITEMS = 100  # ScaNN needs as many to learn its codes; a matrix product is faster for far more
_MIN_RECALL = 0.98  # of the exact answers
_SAMPLE = 1000  # stored users whose queries choose how much is searched
_BATCH = 32  # queries that are scored exactly at a time
_RESCORED = 4  # candidates found by codes and scored exactly, for every item of the answer


def check_index(index: str, target: Target, recommender: Recommender) -> None:
    """Check that an index exists and suits the target and the family.

    Raises:
        InputError: If it does not, or ScaNN is not installed.
    """
    if index not in INDICES:
        raise InputError(f"export: index is {index!r}, and must be {' or '.join(INDICES)}")
    if index == "exact":
        return
    if target.compiled:
        raise InputError(f"export: ScaNN searches on CPUs, and the target is {target.name!r}: choose cpu or exact")
    if not recommender.built.scores_are_products:
        raise InputError(f"export: scores of {recommender.family} are not products of vectors: choose the index exact")
    if find_spec("scann") is None:
        raise InputError("export: the index scann needs ScaNN: pip install 'tfllmrec[scann]'")


class ScannIndex(tf.Module):
    """Search vectors in a ScaNN tree with quantized residuals (Guo et al., 2020, ICML) by dot product.

    The number of searched leaves is the smallest of 1, 2, 4, ... that finds 98 % of the exact answers of the queries.
    Results are scored exactly.

    Args:
        vectors: float32 [items + 1, D] by item index; row 0, the padding's, is never returned.
        queries: representative queries, float32 [n, D].
        k: items in an answer.

    Attributes:
        leaves: number of leaves of the tree.
        searched: number of leaves that are searched.
        recall: share of the exact answers that is found for the queries.

    Raises:
        InputError: If there are fewer items than ScaNN needs.
    """

    def __init__(self, vectors: np.ndarray, queries: np.ndarray, k: int) -> None:
        super().__init__(name="scann")
        items = vectors[1:]
        if len(items) < _FEWEST_ITEMS:
            raise InputError(
                f"export: the index scann needs at least {_FEWEST_ITEMS} items, not {len(items)}: choose exact"
            )
        from scann import scann_ops

        self.leaves = isqrt(len(items))
        builder = scann_ops.builder(items, k, "dot_product")
        builder.tree(self.leaves, self.leaves, training_sample_size=len(items))
        builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(k)
        with suppress_stderr():  # it logs every step
            self._state = builder.build().serialize_to_module()
        # Searchers of the same name share the vectors; otherwise every signature would hold a copy.
        self._shared_name = hashlib.sha256(items.tobytes()).hexdigest()
        self._queries = len(queries)
        self.searched, self.recall = self._choose(items, queries, k)

    def __str__(self) -> str:
        searched = f"{self.searched:,} of {self.leaves:,} leaves searched"
        return f"ScaNN, {searched}, {self.recall:.1%} of the exact answers found for {self._queries:,} stored users"

    def __call__(self, queries: tf.Tensor, excluded: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Map queries float32 [B, D] and excluded items int32 [B, any] to items int32 and scores float32 [B, k].

        Exclusions are compensated by as many further items, in more leaves. Missing results are item 0 with float32's
        lowest score.
        """
        more = tf.reduce_max(tf.math.count_nonzero(tf.pad(excluded, [[0, 1], [0, 0]]), axis=1, dtype=tf.int32))
        leaves = tf.minimum(self.searched * (1 + more // k), self.leaves)
        found, scores = self._search(queries, k + more, leaves)
        scores = tf.where(_is_among(excluded, found) | ~tf.math.is_finite(scores), LOWEST, scores)
        best = tf.math.top_k(scores, k)
        items = tf.gather(found, best.indices, batch_dims=1)
        return tf.where(best.values > LOWEST, items, 0), best.values

    def _search(self, queries: tf.Tensor, count: Any, leaves: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Return items and scores [B, count]; missing results have NaN scores."""
        from scann.scann_ops.py.scann_ops import scann_search_batched, tensors_to_scann

        state = self._state
        searcher = tensors_to_scann(
            state.dataset,
            state.scann_config,
            state.serialized_partitioner,
            state.datapoint_to_token,
            state.ah_codebook,
            state.hashed_dataset,
            state.int8_dataset,
            state.int8_multipliers,
            state.dp_norms,
            shared_name=self._shared_name,
        )
        rows, scores = scann_search_batched(searcher, queries, count, _RESCORED * count, leaves, False)
        for one in (rows, scores):
            one.set_shape([queries.shape[0], None])  # ScaNN's operation has no shape inference
        return rows + 1, scores

    def _choose(self, items: np.ndarray, queries: np.ndarray, k: int) -> tuple[int, float]:
        batches = np.array_split(queries, -(-len(queries) // _BATCH))
        exact = [{*row + 1} for some in batches for row in top_k(some @ items.T, k)[1].numpy()]
        searched = 1
        while True:
            found, _ = self._search(queries, k, searched)
            pairs = zip(exact, found.numpy(), strict=True)
            recall = float(np.mean([len(best.intersection(row)) / len(best) for best, row in pairs]))
            if recall >= _MIN_RECALL or searched == self.leaves:
                return searched, recall
            searched = min(2 * searched, self.leaves)


def _is_among(excluded: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Return which items [B, n] are excluded [B, any], bool [B, n]."""
    ordered = tf.sort(tf.pad(excluded, [[0, 0], [0, 1]]), axis=1)
    places = tf.minimum(tf.searchsorted(ordered, items), tf.shape(ordered)[1] - 1)
    return tf.gather(ordered, places, batch_dims=1) == items


class ApproximateItems(tf.Module):
    """Retrieve the best items by a `ScannIndex` of their vectors; popular items where the history is empty.

    Args:
        built: models whose scores are products of query vectors and item vectors.
        fitted_data: users whose stored histories are the queries that choose how much is searched.
        ids: look-ups.
        top_k: items in an answer, K.
    """

    def __init__(self, built: BuiltModels, fitted_data: FittedData, ids: IdMapper, top_k: int) -> None:
        super().__init__(name="approximate_items")
        self._query = partial(call_model, built.query_model)  # tf.Module would track the model's own weights
        self._top_k = top_k
        self._exact = best_items_core(built, top_k).call
        users = np.random.default_rng(0).permutation(len(fitted_data.users))[:_SAMPLE] + 1
        user = tf.constant(users, tf.int32)
        inputs = {"user": user, "history": ids.history(user, tf.zeros([len(users), 0], tf.int32), built.history_length)}
        inputs["user_features"] = tf.zeros([len(users), ids.feature_columns], tf.int32)
        index: Any = built.index
        self._biased, vectors = index.biased, index.read_all(tf.float32)
        if index.biased:
            vectors = tf.concat([vectors, tf.convert_to_tensor(index.biases)[:, None]], axis=1)
        self.index = ScannIndex(vectors.numpy(), self._queries(inputs).numpy(), top_k)

    def __call__(self, inputs: dict[str, tf.Tensor]) -> Outputs:
        """Map the inputs of a `best_items_core` to its outputs."""
        found = self.index(self._queries(inputs), inputs["exclude"], self._top_k)
        empty = tf.reduce_all(inputs["history"] == 0, axis=1, keepdims=True)

        def with_popular() -> tuple[tf.Tensor, ...]:
            exact = self._exact(inputs)
            pairs = zip((exact["items"], exact["scores"]), found, strict=True)
            return tuple(tf.where(empty, *pair) for pair in pairs)

        items, scores = tf.cond(tf.reduce_any(empty), with_popular, lambda: found)
        return {"items": items, "scores": scores}

    def _queries(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Query vectors, with a 1 for the items' biases."""
        vectors = self._query(inputs)
        return tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0) if self._biased else vectors


def with_approximate_core(signature: Signature, approximate: ApproximateItems) -> Signature:
    """Return a signature of the best items with approximate retrieval; others as they are."""
    if signature.core.name != "best":
        return signature
    return replace(signature, core=replace(signature.core, call=approximate))
