"""A recommender as TensorFlow functions: string ids in, string ids out, and an int32 core between them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfllmrec.export.core import Core
from tfllmrec.export.host import Lookup, known, rows
from tfllmrec.export.joint import Joint
from tfllmrec.export.names import Names, nobody
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.ranking import Ranking, ranker_of
from tfllmrec.export.signature import ID_ROWS, IDS, INDEX_ROWS, INDICES, Answer, signature
from tfllmrec.export.target import CPU, Target
from tfllmrec.models.history import newest
from tfllmrec.models.top_items import LOWEST, top_items
from tfllmrec.recommenders.base import Recommender
from tfllmrec.recommenders.cascade import Cascade
from tfllmrec.recommenders.multi_task import MultiTask


class Servable(tf.Module):
    """What is exported of a recommender: its variables, look-ups and stored histories, and its signatures.

    Keras models are no attributes: the C++ runtime would not find their variables then (loading would
    succeed, the first request fail). Their `tf.Variable`s are, and plain functions call the models.

    Args:
        recommender: a fitted recommender.
        top_k: items in an answer, K; at most the number of items.
        target: where it is to run.
        precision: see `export`; its functions are to be traced with `stored.in_use()`.

    Attributes:
        top_k: K.
        cores: by name. "best" is users [B], histories [B, L], exclusions [B, any], and for models that read them users'
            features [B, F], all int32 -> items int32 [B, K], scores float32 [B, K].
        stored: the models' weights as they are stored.
        weights_: their variables.
    """

    _queries: Callable[..., tf.Tensor] | None = None
    _features: Lookup | None = None
    _index: Callable[..., tf.Tensor] | None = None
    _biases: tf.Variable | None = None
    _ranking: Ranking | Joint | None = None
    _lists: Callable[..., dict[str, tf.Tensor]] | None = None

    def __init__(
        self,
        recommender: Recommender,
        top_k: int = 100,
        *,
        target: Target = CPU,
        precision: str = "float32",
    ) -> None:
        super().__init__(name="servable")
        catalogue = recommender.catalogue
        self.top_k = min(top_k, len(catalogue.items))
        self._main = recommender.main_signature
        self._history_length = recommender.history_length
        self._names = Names(catalogue, recommender.history_length)
        self._in_scenarios = recommender.reads_scenarios

        if features := catalogue.features:
            self._features, self._feature_count = Lookup(features.vocabulary), len(features.vocabulary)
            self._columns = len(features.columns)

        models = [recommender.scorer]
        self._scores = _plain(recommender.scorer)
        if query_model := getattr(recommender, "query_model", None):
            models.append(query_model)
            self._queries = _plain(query_model)
        if isinstance(recommender, Cascade) and self.top_k <= recommender.config.candidates:
            models.append(recommender.lister)  # whose candidates are all that can come back
            self._lists = _plain(recommender.lister)
        if ranker := ranker_of(recommender):
            self._ranking = Ranking(ranker, self._names, target)
            models += ranker.served_models
        if isinstance(recommender, MultiTask):
            self._ranking = Joint(recommender, self._names, self.top_k, target)
            models += recommender.served_models
        reader = ranker or getattr(recommender, "texts", None)
        self.stored = StoredWeights(models, precision, reader.bert.backbone if reader else None)
        self.weights_ = self.stored.variables
        if index := getattr(recommender, "index", None):
            self._index, self._all_vectors = (lambda items: index(items)), partial(index.read_all, tf.float32)
            self._biases = self.stored.of(index.biases) if index.biased else None
            with self.stored.in_use():
                norms = tf.norm(self._all_vectors(), axis=1)
            self._inverse_norms = tf.Variable(tf.math.reciprocal_no_nan(norms), trainable=False)
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
        if self._queries is not None:
            found["embed_query"] = signature(self.embed_query, user_id=IDS, history=ID_ROWS)
        if self._index is not None:
            found["embed_items"] = signature(self.embed_items, item_ids=IDS)
            found["similar_items"] = signature(self.similar_items, item_id=IDS, exclude_item_ids=ID_ROWS)
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

    def embed_query(self, user_id: tf.Tensor, history: tf.Tensor) -> Answer:
        """Query vectors: string [B], [B, any] -> embedding float32 [B, D]."""
        assert self._queries is not None, "this family has no query model"
        user, given = self._names.users(user_id), self._names.items(history)
        return {"embedding": self._queries(user, self._names.read(user, given))}

    def embed_items(self, item_ids: tf.Tensor) -> Answer:
        """Item vectors: string [B] -> embeddings float32 [B, D]; item 0's zeros for unknown items.

        Where items have a bias there are biases float32 [B] as well: a score is query . item + bias.
        """
        items = self._names.items(item_ids)
        assert self._index is not None, "this family has no item vectors"
        answer = {"embeddings": self._index(items)}
        return answer if self._biases is None else answer | {"biases": rows(self._biases, items)}

    def similar_items(self, item_id: tf.Tensor, exclude_item_ids: tf.Tensor) -> Answer:
        """The items with the nearest vectors: string [B], [B, any] -> item_ids, titles, scores, each [B, K].

        Scores are cosines. The item itself does not come back. An unknown item is like nothing: no items,
        rather than popular ones that would pass for similar.
        """
        item = self._names.items(item_id)
        assert self._index is not None, "this family has no item vectors"
        asked = self._index(item) * rows(self._inverse_norms, item)[:, None]
        cosines = tf.matmul(asked, self._all_vectors(), transpose_b=True) * self._inverse_norms
        excluded = tf.concat([self._names.items(exclude_item_ids), item[:, None]], axis=1)
        return self._names.named(*top_items(tf.where(item[:, None] > 0, cosines, LOWEST), excluded, self.top_k))

    def _best(
        self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, features: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self._lists is None:
            return top_items(self._scores(user, history, features, exclude), exclude, self.top_k)
        found = self._lists(user, history, features, exclude)
        scores, places = tf.math.top_k(found["scores"], self.top_k)
        return tf.gather(found["items"], places, batch_dims=1), scores


def _plain(model: keras.Model) -> Callable[..., tf.Tensor]:
    """A model of users, histories and perhaps users' features as a function, which `tf.Module` does not track."""
    width = model.input["user_features"].shape[1] if "user_features" in model.input else None

    def answer(
        user: tf.Tensor, history: tf.Tensor, features: tf.Tensor | None = None, exclude: tf.Tensor | None = None
    ) -> tf.Tensor:
        inputs = {"user": user, "history": history}
        if "exclude" in model.input:
            inputs["exclude"] = exclude
        if width is not None:
            inputs["user_features"] = tf.zeros([tf.shape(user)[0], width], tf.int32) if features is None else features
        return model(inputs, training=False)

    return answer
