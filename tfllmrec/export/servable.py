"""A recommender as TensorFlow functions: string ids in, string ids out, and an int32 core between them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from tfllmrec.export.as_function import plain
from tfllmrec.export.id_mapper import Names, nobody
from tfllmrec.export.joint import Joint
from tfllmrec.export.numeric_core import Core
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.ranking import Ranking, ranker_of
from tfllmrec.export.scann_index import ScannIndex
from tfllmrec.export.signature import ID_ROWS, IDS, INDEX_ROWS, INDICES, Answer, signature
from tfllmrec.export.string_ops import Lookup, known
from tfllmrec.export.target import CPU, Target
from tfllmrec.export.vectors import Vectors
from tfllmrec.layers.history import newest
from tfllmrec.layers.top_items import top_items
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.cascade.model import Cascade
from tfllmrec.models.multi_task.model import MultiTask


class Servable(tf.Module):
    """What is exported of a recommender: its variables, look-ups and stored histories, and its signatures.

    Keras models are no attributes: the C++ runtime would not find their variables then (loading would
    succeed, the first request fail). Their `tf.Variable`s are, and plain functions call the models.

    Args:
        recommender: a fitted recommender.
        top_k: items in an answer, K; at most the number of items.
        target: where it is to run.
        precision: see `export`; its functions are to be traced with `stored.in_use()`.
        index: see `export`.

    Attributes:
        top_k: K.
        cores: by name. "best" is users [B], histories [B, L], exclusions [B, any], and for models that read them users'
            features [B, F], all int32 -> items int32 [B, K], scores float32 [B, K].
        stored: the models' weights as they are stored.
        weights_: their variables.
        approximate: what finds the best items, unless all are scored.
    """

    approximate: ScannIndex | None = None

    _features: Lookup | None = None
    _vectors: Vectors | None = None
    _ranking: Ranking | Joint | None = None
    _lists: Callable[..., dict[str, tf.Tensor]] | None = None

    def __init__(
        self,
        recommender: Recommender,
        top_k: int = 100,
        *,
        target: Target = CPU,
        precision: str = "float32",
        index: str = "exact",
    ) -> None:
        super().__init__(name="servable")
        fitted_data = recommender.fitted_data
        self.top_k = min(top_k, len(fitted_data.items))
        self._main = recommender.main_signature
        self._history_length = recommender.history_length
        self._names = Names(fitted_data, recommender.history_length, target)
        self._in_scenarios = recommender.reads_scenarios

        if features := fitted_data.features:
            self._features, self._feature_count = Lookup(features.vocabulary), len(features.vocabulary)
            self._columns = len(features.columns)

        models = [recommender.scorer]
        self._scores = plain(recommender.scorer)
        if query_model := getattr(recommender, "query_model", None):
            models.append(query_model)
        if isinstance(recommender, Cascade) and self.top_k <= recommender.config.candidates:
            models.append(recommender.lister)  # whose candidates are all that can come back
            self._lists = plain(recommender.lister)
        if ranker := ranker_of(recommender):
            self._ranking = Ranking(ranker, self._names, target)
            models += ranker.served_models
        if isinstance(recommender, MultiTask):
            self._ranking = Joint(recommender, self._names, self.top_k, target)
            models += recommender.served_models
        reader = ranker or getattr(recommender, "texts", None)
        self.stored = StoredWeights(models, precision, reader.bert.backbone if reader else None)
        self.weights_ = self.stored.variables
        with self.stored.in_use():
            if hasattr(recommender, "index"):
                self._vectors = Vectors(recommender, self._names, self.stored, self.top_k)
            if index == "scann" and self._vectors:
                self.approximate = self._vectors.scann_index(fitted_data)
        self._core = Core(self._best, target)
        self.cores = {"best": self._core} | (self._ranking.cores if self._ranking else {})

    def signatures(self) -> dict[str, Any]:
        """Every signature by its name, as a `tf.function` with named inputs."""
        history = tf.TensorSpec([None, self._history_length], tf.int32)
        asked = {"user_id": IDS, "history": ID_ROWS, "exclude_item_ids": ID_ROWS}
        asked_in_indices = {"user": INDICES, "history": history, "exclude": INDEX_ROWS}
        found = {}
        if not self._in_scenarios:
            found["retrieve"] = signature(self.retrieve, **asked)
            found["retrieve_ids"] = signature(self.retrieve_ids, **asked_in_indices)
            if self._main == "recommend":  # clients that ask any model for `retrieve` can ask it as well
                found |= {"recommend": found["retrieve"], "recommend_ids": found["retrieve_ids"]}
        if self._main == "next_items":
            found["next_items"] = signature(self.next_items, history=ID_ROWS, exclude_item_ids=ID_ROWS)
            found["next_items_ids"] = signature(self.next_items_ids, history=history, exclude=INDEX_ROWS)
        if self._features is not None:
            told = signature(self.retrieve_with_features, **asked, user_features=ID_ROWS)
            given = tf.TensorSpec([None, self._columns], tf.int32)
            found["retrieve_with_features"] = told
            found["retrieve_with_features_ids"] = signature(
                self.retrieve_with_features_ids, **asked_in_indices, user_features=given
            )
        if self._vectors is not None:
            found |= self._vectors.signatures()
        if self._ranking is not None:
            found |= self._ranking.signatures()
        return {"serving_default": found[self._main], **found}

    def retrieve(self, user_id: tf.Tensor, history: tf.Tensor, exclude_item_ids: tf.Tensor) -> Answer:
        """The best items: string [B], [B, any], [B, any] -> item_ids, titles, scores, each [B, K].

        Given, stored and excluded items do not come back, however long the histories are.
        """
        return self._names.named(*self._core(*self._names.asked(user_id, history, exclude_item_ids)))

    def retrieve_ids(self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor) -> Answer:
        """The core on its own: int32 [B], [B, L], [B, any] -> items int32 [B, K], scores float32 [B, K].

        Nothing is taken from the stored histories, and only `exclude` is excluded.
        """
        items, scores = self._core(*self._names.asked_in_indices(user, history, exclude))
        return {"items": items, "scores": scores}

    def retrieve_with_features(
        self, user_id: tf.Tensor, history: tf.Tensor, exclude_item_ids: tf.Tensor, user_features: tf.Tensor
    ) -> Answer:
        """`retrieve` for users of whom something is told: string [B, any], such as "gender=F".

        What is told goes before what is stored; unknown features are nothing.
        """
        assert self._features is not None, "this family reads no features"
        told = newest(self._features(user_features), self._columns)
        return self._names.named(*self._core(*self._names.asked(user_id, history, exclude_item_ids), told))

    def retrieve_with_features_ids(
        self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, user_features: tf.Tensor
    ) -> Answer:
        """The same in indices, features int32 [B, F]; see `retrieve_ids`."""
        told = known(user_features, self._feature_count)
        items, scores = self._core(*self._names.asked_in_indices(user, history, exclude), told)
        return {"items": items, "scores": scores}

    def next_items(self, history: tf.Tensor, exclude_item_ids: tf.Tensor) -> Answer:
        """The best items after a history: string [B, any], [B, any] -> item_ids, titles, scores, each [B, K]."""
        return self._names.named(*self._core(*self._names.asked_after(history, exclude_item_ids)))

    def next_items_ids(self, history: tf.Tensor, exclude: tf.Tensor) -> Answer:
        """The same in indices: int32 [B, L], [B, any] -> items int32 [B, K], scores float32 [B, K].

        Only `exclude` is excluded.
        """
        return self.retrieve_ids(nobody(history), history, exclude)

    def _best(
        self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, features: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self._lists is not None:
            listed = self._lists(user, history, features, exclude)
            enough = listed["ranked"].shape[1] >= self.top_k  # and nothing is computed of the others
            scores, places = tf.math.top_k(listed["ranked" if enough else "scores"], self.top_k)
            return tf.gather(listed["items"], places, batch_dims=1), scores
        exactly = partial(self._best_of_all, user, history, exclude, features)
        if self.approximate is None or self._vectors is None:
            return exactly()
        found = self.approximate(self._vectors.queries(user, history, features), exclude, self.top_k)
        popular = tf.reduce_all(history == 0, axis=1, keepdims=True)  # there is nothing to look for
        return tf.cond(
            tf.reduce_any(popular),
            lambda: tuple(tf.where(popular, *pair) for pair in zip(exactly(), found, strict=True)),
            lambda: found,
        )

    def _best_of_all(
        self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, features: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return top_items(self._scores(user, history, features, exclude), exclude, self.top_k)
