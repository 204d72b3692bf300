"""What a fitted recommender answers: scores, rankings of targets, recommendations."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets
from tfllmrec.layers.top_items import top_items
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec_client.requests import RecommendRequest, recommend_request


class Predictor:
    """The half of a `Recommender` that asks its scoring model, in string ids or in indices.

    Attributes:
        config: the configuration the recommender was fitted with.
        fitted_data: ids, titles and stored histories.
        scorer: the scoring model.
    """

    family: ClassVar[str]

    config: Any
    fitted_data: FittedData
    scorer: keras.Model

    def _answer_with(self, scorer: keras.Model) -> None:
        """Ask this model from now on."""
        self.scorer = scorer
        inputs = {name: tf.TensorSpec(given.shape, given.dtype, name) for name, given in scorer.input.items()}
        self._score = tf.function(scorer, input_signature=[inputs])

    def with_own_trace(self) -> Self:
        """One that scores as this scoring model does now, whatever the weights are read as later."""
        other = copy.copy(self)
        other._answer_with(self.scorer)
        other._score.get_concrete_function()
        return other

    def require_fitted(self) -> None:
        """Raise an InputError unless the recommender was fitted or loaded."""
        if not hasattr(self, "scorer"):
            raise InputError(f"this {self.family} is not fitted; call fit first")

    @property
    def history_length(self) -> int:
        """L, how many of the newest items the scoring model reads."""
        return self.config.history_length

    @property
    def reads_scenarios(self) -> bool:
        """Whether the scoring model is asked for a scenario."""
        return "scenario" in self.scorer.input

    def score(
        self,
        users: np.ndarray,
        histories: np.ndarray,
        scenarios: np.ndarray | None = None,
        *,
        features: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
    ) -> tf.Tensor:
        """Scores of all items: users int32 [B], histories int32 [B, L] -> float32 [B, items + 1].

        A model that reads scenarios scores the items of one, int32 [B]; all others have float32's lowest. Where the
        model reads users' features there may be others than those stored, int32 [B, F]. A cascade looks for candidates
        among the items that are not to be excluded, int32 [B, any]; other models score those as well.
        """
        inputs = {"user": users, "history": histories}
        if self.reads_scenarios:
            inputs["scenario"] = np.zeros_like(users) if scenarios is None else scenarios
        if "exclude" in self.scorer.input:
            inputs["exclude"] = histories if exclude is None else exclude
        if self.fitted_data.features is not None:
            width = len(self.fitted_data.features.columns)
            inputs["user_features"] = np.zeros((len(users), width), np.int32) if features is None else features
        return self._score(inputs)

    def rank_targets(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> RankedTargets:
        """Rank every target among all items its user has not seen; see `tfllmrec.evaluation.rank_targets`."""
        self.require_fitted()
        by_scenario = self.reads_scenarios
        return rank_targets(
            self.score, targets, self.history_length, k=k, item_subset=item_subset, by_scenario=by_scenario
        )

    def evaluate(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> dict[str, float]:
        """ndcg, recall and the other metrics at k; see `tfllmrec.evaluation.summarise`."""
        return summarise(self.rank_targets(targets, k, item_subset=item_subset), self.fitted_data.counts, k)

    def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        user_features: Sequence[Sequence[str]] | None = None,
        scenarios: Sequence[str] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """The k best items for users, for histories given on the spot, or for both row by row.

        A known user without a given history is served from the stored one, anybody with a history from that, and
        a row with neither from popularity. Unknown ids and "" are nothing.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            k: items a row; fewer come back where fewer are left.
            exclude: item ids that must not come back, one sequence a row.
            user_features: what is told of users, such as "gender=F", instead of what is stored, one sequence a row;
                for models that read it.
            scenarios: where the items are to be shown, one name a row; for models that read it, which need it.
            exclude_seen: given and stored items do not come back either.

        Returns:
            Columns row (place of the question), user_id, rank (from 1), item_id, title, score; best first.

        Raises:
            InputError: none of users, histories and features, rows that do not match, k below 1, a string for a
                sequence, features or scenarios for a model that reads none, an unknown scenario for one that does.
        """
        if k < 1:
            raise InputError(f"recommend: k is {k}, and must be at least 1")
        self.require_fitted()
        asked = recommend_request(users, histories, exclude, user_features, scenarios)
        told = self.fitted_data.features
        if told is None and user_features is not None:
            raise InputError(f"recommend: this {self.family} reads no user_features; leave them out")
        user_indices, given, stored = self._histories(asked)
        read, excluded = Histories.where(given.lengths > 0, given, stored), self._known_items(asked.excluded)
        hidden = Histories.concatenate([excluded, given, stored] if exclude_seen else [excluded]).padded()
        features = None if told is None else told.lookup(asked.features)
        where = self._known_scenarios("recommend", scenarios, asked.scenarios)
        scores = self.score(
            user_indices, read.most_recent(self.history_length), where, features=features, exclude=hidden
        )
        best, best_scores = top_items(scores, hidden, min(k, len(self.fitted_data.items)))
        return self._as_table(asked.users, best.numpy(), best_scores.numpy())

    def _histories(self, asked: RecommendRequest) -> tuple[np.ndarray, Histories, Histories]:
        """Users as indices, int32 [B], and their histories: those given, and those stored."""
        users = self.fitted_data.users.lookup(asked.users)
        return users, self._known_items(asked.histories), self.fitted_data.histories.take(users)

    def _known_scenarios(self, call: str, given: Sequence[str] | None, asked: Sequence[str]) -> np.ndarray | None:
        """Scenarios as indices, int32 [B]; None for a model that reads none."""
        names = self.fitted_data.scenarios
        if names is None:
            if given is not None:
                raise InputError(f"{call}: this {self.family} reads no scenarios; leave them out")
            return None
        found = names.lookup(asked)
        if not found.all():
            wrong, there = asked[int(np.argmin(found))], ", ".join(names.tokens[1:])
            raise InputError(
                f"{call}: {wrong!r} is no scenario of this {self.family}; name one in every row of {there}"
            )
        return found

    def _known_items(self, rows: Sequence[Sequence[str]]) -> Histories:
        """The items of every row as indices, without the unknown ones."""
        found = (self.fitted_data.items.lookup(row) for row in rows)
        return Histories.from_rows(row[row > 0] for row in found)

    def _as_table(self, users: Sequence[str], items: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
        """Items and scores [rows, k] with their names, without the places that were left empty."""
        rows, k = items.shape
        table = pd.DataFrame(
            {
                "row": np.repeat(np.arange(rows), k),
                "user_id": np.repeat(np.asarray(users, dtype=object), k),
                "rank": np.tile(np.arange(1, k + 1), rows),
                "item_id": self.fitted_data.items.ids(items.ravel()),
                "title": self.fitted_data.titles[items.ravel()],
                "score": scores.ravel(),
            }
        )
        return table[items.ravel() > 0].reset_index(drop=True)
