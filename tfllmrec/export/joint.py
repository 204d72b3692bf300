"""The signatures of a joint model: recommendations in a scenario, what is said of candidates, and interests."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.export.id_mapper import Names
from tfllmrec.export.numeric_core import Core
from tfllmrec.export.ranking import asked_of, filled
from tfllmrec.export.signature import ID_ROWS, IDS, INDEX_ROWS, INDICES, Answer, signature
from tfllmrec.export.string_ops import Lookup, Strings, known
from tfllmrec.export.target import Target
from tfllmrec.layers.top_items import top_items
from tfllmrec.models.multi_task.model import MultiTask


class Joint(tf.Module):
    """What is exported of a `MultiTask` beside what every recommender has.

    Args:
        recommender: fitted.
        names: what ids mean.
        top_k: items in an answer.
        target: where it is to run.

    Attributes:
        scenarios: what names of scenarios mean, or None where the model reads none.
        cores: by name: best items, what is said of candidates, interests.
    """

    def __init__(self, recommender: MultiTask, names: Names, top_k: int, target: Target) -> None:
        super().__init__()
        self._names, self._history_length, self._target = names, recommender.history_length, target
        there = recommender.fitted_data.scenarios
        self.scenarios = None if there is None else Lookup(there)
        self._count = 0 if there is None else len(there)
        models = {"scores": recommender.scorer, **recommender.others}  # no attribute is a Keras model; see `Servable`

        def best(asked: dict[str, tf.Tensor], exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return top_items(models["scores"](asked, training=False), exclude, top_k)

        def said(asked: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return models["candidates"](asked, training=False)

        def interested(asked: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            chances = models["interests"](asked, training=False)
            scores, places = tf.math.top_k(chances, chances.shape[1])
            return scores, places + 1

        self._best, self._said, self._interested = (Core(call, target) for call in (best, said, interested))
        self.cores = {"best_of_scenario": self._best, "candidates": self._said, "interests": self._interested}
        self._encode: Any = None
        if recommender.texts is not None:
            self._encode = recommender.texts.encode
            self._written = tf.Variable(recommender.texts.vectors, trainable=False)
            rows = recommender.texts.rows.astype(np.int64)  # there are no int32 variables on a GPU
            self._rows = tf.Variable(rows, trainable=False)
        self._labels = Strings(recommender.labels.tokens) if "interests" in models else None

    def signatures(self) -> dict[str, Any]:
        """Every signature by its name."""
        history = tf.TensorSpec([None, self._history_length], tf.int32)
        asked, in_indices = {"user_id": IDS, "history": ID_ROWS}, {"user": INDICES, "history": history}
        where, where_in_indices = ({}, {}) if self.scenarios is None else ({"scenario": IDS}, {"scenario": INDICES})
        found = {
            "rank": signature(self.rank, **asked, candidate_item_ids=ID_ROWS, **where),
            "rank_ids": signature(self.rank_ids, **in_indices, candidates=INDEX_ROWS, **where_in_indices),
        }
        if self.scenarios is not None:
            found |= {
                "recommend": signature(self.recommend, **asked, exclude_item_ids=ID_ROWS, **where),
                "recommend_ids": signature(self.recommend_ids, **in_indices, exclude=INDEX_ROWS, **where_in_indices),
            }
        if self._labels is not None:
            found["interests"] = signature(self.interests, **asked, **where)
        if self._encode is not None:
            found["interests_with_texts"] = signature(self.interests_with_texts, **asked, texts=ID_ROWS, **where)
        return found

    def recommend(
        self, user_id: tf.Tensor, history: tf.Tensor, exclude_item_ids: tf.Tensor, scenario: tf.Tensor
    ) -> Answer:
        """The best items of a scenario: `Servable.retrieve` with string [B] more, and "scenario_known" bool [B].

        An unknown scenario has no items.
        """
        user, read, exclude = self._names.asked(user_id, history, exclude_item_ids)
        asked = self._asked(user, read, scenario)
        return self._names.named(*self._best(asked, exclude)) | self._known(asked)

    def recommend_ids(self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, scenario: tf.Tensor) -> Answer:
        """The same in indices; nothing stored is added."""
        user, history, exclude = self._names.asked_in_indices(user, history, exclude)
        where = known(scenario, self._count)
        items, scores = self._best({"user": user, "history": history, "scenario": where}, exclude)
        return {"items": items, "scores": scores}

    def rank(
        self, user_id: tf.Tensor, history: tf.Tensor, candidate_item_ids: tf.Tensor, scenario: tf.Tensor | None = None
    ) -> Answer:
        """What is said of candidates: string [B], [B, any], [B, N], perhaps [B] -> "scores" float32 [B, N].

        Beside the scores that order them there are "ratings" and "likes" where these are tasks. Unknown candidates and
        those that the scenario does not have are told float32's lowest, whatever is asked.
        """
        user, given = self._names.users(user_id), self._names.items(history)
        asked = self._asked(user, self._names.read(user, given), scenario)
        return self._of_candidates(asked, self._names.items(candidate_item_ids)) | self._known(asked)

    def rank_ids(
        self, user: tf.Tensor, history: tf.Tensor, candidates: tf.Tensor, scenario: tf.Tensor | None = None
    ) -> Answer:
        """The same in indices; nothing stored is read."""
        user, history, candidates = self._names.in_indices(user, history, candidates)
        where = {} if scenario is None else {"scenario": known(scenario, self._count)}
        return self._of_candidates({"user": user, "history": history, **where}, candidates)

    def interests(self, user_id: tf.Tensor, history: tf.Tensor, scenario: tf.Tensor | None = None) -> Answer:
        """What users are interested in: string [B], [B, any], perhaps [B] -> labels string and scores float32, [B, G].

        The strongest first.
        """
        return self._interests(user_id, history, None, scenario)

    def interests_with_texts(
        self, user_id: tf.Tensor, history: tf.Tensor, texts: tf.Tensor, scenario: tf.Tensor | None = None
    ) -> Answer:
        """The same, where a row's texts, string [B, any], count instead of what the user is known to have written."""
        return self._interests(user_id, history, texts, scenario)

    def _interests(
        self, user_id: tf.Tensor, history: tf.Tensor, texts: tf.Tensor | None, scenario: tf.Tensor | None
    ) -> Answer:
        assert self._labels is not None, "interests are no task"
        user, given = self._names.users(user_id), self._names.items(history)
        asked = self._asked(user, self._names.read(user, given), scenario)
        written = {} if self._encode is None else {"written": self._vectors(user, texts)}
        scores, labels = self._interested(asked | written)
        return {"labels": self._labels(labels), "scores": scores} | self._known(asked)

    def _vectors(self, user: tf.Tensor, texts: tf.Tensor | None) -> tf.Tensor:
        """Of what users wrote, float32 [B, W]."""
        rows = tf.gather(tf.convert_to_tensor(self._rows), user)
        stored = tf.gather(tf.convert_to_tensor(self._written), rows)
        if texts is None:
            return stored
        given, there = self._encode(texts)
        return tf.where(there[:, None], given, stored)

    def _asked(self, user: tf.Tensor, read: tf.Tensor, scenario: tf.Tensor | None) -> dict[str, tf.Tensor]:
        asked = {"user": user, "history": read}
        return asked if self.scenarios is None else {**asked, "scenario": self.scenarios(scenario)}

    def _known(self, asked: dict[str, tf.Tensor]) -> Answer:
        return {} if self.scenarios is None else {"scenario_known": asked["scenario"] > 0}

    def _of_candidates(self, asked: dict[str, tf.Tensor], candidates: tf.Tensor) -> Answer:
        told = self._said({**asked, "candidates": asked_of(candidates, self._target)})
        return {name: filled(values, candidates) for name, values in told.items()}
