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
"""Kinds of retrieval: "exact" scores all items, "scann" those that ScaNN searches."""
_MIN_ITEMS = 100  # ScaNN needs this many to train its codes; exact search is faster even for far more
_MIN_RECALL = 0.98  # share of the exact results
_SAMPLE = 1000  # stored users; recall for their queries determines the number of searched leaves
_BATCH = 32  # queries per batch of exact scoring
_RESCORED = 4  # candidates, selected by codes, that are scored exactly for each result


def check_index(index: str, target: Target, recommender: Recommender) -> None:
    """Check that an index exists and suits the target and the family.

    Raises:
        InputError: If the index is unknown or unsuitable, or ScaNN is not installed.
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
    """ScaNN tree with quantized residuals (Guo et al., 2020, ICML), which searches vectors by dot product.

    The number of searched leaves is the smallest of 1, 2, 4, ... with 98 % recall of the exact results for the queries.
    Scores of results are exact.

    Args:
        vectors: float32 [items + 1, D] by item index; row 0, the padding, is never returned.
        queries: representative queries, float32 [n, D].
        k: number of results per query.

    Attributes:
        leaves: number of leaves of the tree.
        searched: number of leaves that are searched.
        recall: recall of the exact results for the queries.

    Raises:
        InputError: If there are fewer items than ScaNN needs.
    """

    def __init__(self, vectors: np.ndarray, queries: np.ndarray, k: int) -> None:
        super().__init__(name="scann")
        items = vectors[1:]
        if len(items) < _MIN_ITEMS:
            raise InputError(
                f"export: the index scann needs at least {_MIN_ITEMS} items, not {len(items)}: choose exact"
            )
        from scann import scann_ops

        self.leaves = isqrt(len(items))
        builder = scann_ops.builder(items, k, "dot_product")
        builder.tree(self.leaves, self.leaves, training_sample_size=len(items))
        builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(k)
        with suppress_stderr():  # ScaNN logs every step
            self._state = builder.build().serialize_to_module()
        # Searchers with the same name share the vectors; otherwise each signature would hold a copy.
        self._shared_name = hashlib.sha256(items.tobytes()).hexdigest()
        self._queries = len(queries)
        self.searched, self.recall = self._tune_search(items, queries, k)

    def __str__(self) -> str:
        searched = f"{self.searched:,} of {self.leaves:,} leaves searched"
        return f"ScaNN, {searched}, {self.recall:.1%} recall for {self._queries:,} stored users"

    def __call__(self, queries: tf.Tensor, excluded: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Map queries float32 [B, D] and excluded items int32 [B, any] to items int32 and scores float32 [B, k].

        For n exclusions the search returns k + n items, from more leaves. Missing results are item 0 with float32's
        lowest score.
        """
        more = tf.reduce_max(tf.math.count_nonzero(tf.pad(excluded, [[0, 1], [0, 0]]), axis=1, dtype=tf.int32))
        leaves = tf.minimum(self.searched * (1 + more // k), self.leaves)
        items, scores = self._search(queries, k + more, leaves)
        scores = tf.where(_is_excluded(items, excluded) | ~tf.math.is_finite(scores), LOWEST, scores)
        best = tf.math.top_k(scores, k)
        best_items = tf.gather(items, best.indices, batch_dims=1)
        return tf.where(best.values > LOWEST, best_items, 0), best.values

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
        for tensor in (rows, scores):
            tensor.set_shape([queries.shape[0], None])  # ScaNN's operation has no shape inference
        return rows + 1, scores

    def _tune_search(self, items: np.ndarray, queries: np.ndarray, k: int) -> tuple[int, float]:
        """Return the number of leaves to search, and the recall of the exact results."""
        batches = np.array_split(queries, -(-len(queries) // _BATCH))
        exact = [{*row + 1} for batch in batches for row in top_k(batch @ items.T, k)[1].numpy()]
        searched = 1
        while True:
            approximate, _ = self._search(queries, k, searched)
            pairs = zip(exact, approximate.numpy(), strict=True)
            recall = float(np.mean([len(best.intersection(row)) / len(best) for best, row in pairs]))
            if recall >= _MIN_RECALL or searched == self.leaves:
                return searched, recall
            searched = min(2 * searched, self.leaves)


def _is_excluded(items: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
    """Return whether items [B, n] are in excluded [B, any], bool [B, n]."""
    ordered = tf.sort(tf.pad(excluded, [[0, 0], [0, 1]]), axis=1)
    positions = tf.minimum(tf.searchsorted(ordered, items), tf.shape(ordered)[1] - 1)
    return tf.gather(ordered, positions, batch_dims=1) == items


class ApproximateItems(tf.Module):
    """Retrieval of the best items by a `ScannIndex` of their vectors; popular items if the history is empty.

    Args:
        built: models with scores that are products of query vectors and item vectors.
        fitted_data: stored histories; a sample of them is used to tune the search.
        ids: look-ups between ids and indices.
        top_k: number of results per request, K.
    """

    def __init__(self, built: BuiltModels, fitted_data: FittedData, ids: IdMapper, top_k: int) -> None:
        super().__init__(name="approximate_items")
        self._query = partial(call_model, built.query_model)  # a tf.Module would track the model and its weights
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
        results = self.index(self._queries(inputs), inputs["exclude"], self._top_k)
        empty = tf.reduce_all(inputs["history"] == 0, axis=1, keepdims=True)

        def with_popular() -> tuple[tf.Tensor, ...]:
            exact = self._exact(inputs)
            pairs = zip((exact["items"], exact["scores"]), results, strict=True)
            return tuple(tf.where(empty, *pair) for pair in pairs)

        items, scores = tf.cond(tf.reduce_any(empty), with_popular, lambda: results)
        return {"items": items, "scores": scores}

    def _queries(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return query vectors, with a column of ones for the biases of the items."""
        vectors = self._query(inputs)
        return tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0) if self._biased else vectors


def with_approximate_core(signature: Signature, approximate: ApproximateItems) -> Signature:
    """Return a signature with approximate retrieval if it returns the best items, otherwise unchanged."""
    if signature.core.name != "best":
        return signature
    return replace(signature, core=replace(signature.core, call=approximate))
