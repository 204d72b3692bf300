"""Predictions of a fitted recommender: ids in, tables and arrays out."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets
from tfllmrec.layers.top_items import top_items
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.cores import SimilarItems, candidate_scores_core, embed_items_core, embed_query_core
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec_client.requests import RankRequest, RecommendRequest
from tfllmrec_client.results import ItemEmbeddings, QueryEmbeddings

_BLOCK = 2**16  # pairs of a target and an item scored at a time: 32 MB at 128 numbers an item vector


class Predictor:
    """Calls the models of a recommender with ids or indices.

    Args:
        family: the family name, for messages.
        fitted_data: ids, titles and stored histories.
        built: the models.
    """

    def __init__(self, family: str, fitted_data: FittedData, built: BuiltModels) -> None:
        self.family, self.fitted_data, self.built = family, fitted_data, built
        scorer = built.scorer
        specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in scorer.input.items()}
        self._score = tf.function(scorer, input_signature=[specs])

    def traced(self) -> Self:
        """Trace the scoring model now, so that later changes of how weights are read have no effect."""
        self._score.get_concrete_function()
        return self

    def score(
        self,
        users: np.ndarray,
        histories: np.ndarray,
        scenarios: np.ndarray | None = None,
        *,
        features: np.ndarray | None = None,
        exclude: np.ndarray | None = None,
    ) -> tf.Tensor:
        """Score all items.

        Args:
            users: user indices, int32 [B].
            histories: item indices, int32 [B, L].
            scenarios: scenario indices, int32 [B], for models that read one; items of others have float32's lowest.
            features: feature indices, int32 [B, F], that replace the stored ones.
            exclude: item indices, int32 [B, any], that are not retrieved, for models that retrieve candidates. By
                default the histories.

        Returns:
            Scores float32 [B, items + 1].
        """
        available = self._inputs(users, histories, scenarios, features)
        available["exclude"] = histories if exclude is None else exclude
        return self._score({name: available[name] for name in self.built.scorer.input})

    def rank_targets(self, targets: Targets, k: int, item_subset: np.ndarray | None) -> RankedTargets:
        """Rank every target among all items that its user has not seen, or among some of these."""
        built = self.built
        self._check_pairs(targets, item_subset)
        if item_subset is not None and built.subset_by_candidates:
            block = 1 + _BLOCK // max(1, len(item_subset))

            def score_subset(users: np.ndarray, histories: np.ndarray) -> np.ndarray:
                scores = np.zeros((len(users), len(self.fitted_data.items) + 1), np.float32)
                candidates = np.tile(item_subset.astype(np.int32), (len(users), 1))
                scores[:, item_subset] = self.score_candidates(users, histories, candidates)["scores"]
                return scores

            return rank_targets(score_subset, targets, built.history_length, k=k, item_subset=item_subset, block=block)
        if "exclude" in built.scorer.input:
            # The whole history is excluded from retrieval, not the part alone that the model reads.
            def score_excluding(users: np.ndarray, histories: np.ndarray) -> tf.Tensor:
                recent = Histories.from_padded(histories).most_recent(built.history_length)
                return self.score(users, recent, exclude=histories)

            longest = max(1, int(targets.histories.lengths.max(initial=1)))
            return rank_targets(score_excluding, targets, longest, k=k, item_subset=item_subset)
        return rank_targets(
            self.score,
            targets,
            built.history_length,
            k=k,
            item_subset=item_subset,
            by_scenario=built.reads_scenarios,
        )

    def recommend(self, request: RecommendRequest, k: int, *, features_given: bool, exclude_seen: bool) -> pd.DataFrame:
        """Return the best items of every row of a request; see `Recommender.recommend`."""
        data = self.fitted_data
        if data.features is None and features_given:
            raise InputError(f"recommend: this {self.family} does not read user_features; leave them out")
        users, history, stored = self.histories(request.users, request.histories)
        excluded = self._known_items(request.excluded)
        hidden = Histories.concatenate([excluded, *([history.given, stored] if exclude_seen else [])]).padded()
        features = None if data.features is None else data.features.lookup(request.features)
        scenarios = self.scenarios("recommend", request.scenarios)
        recent = history.read.most_recent(self.built.history_length)
        scores = self.score(users, recent, scenarios, features=features, exclude=hidden)
        best, best_scores = top_items(scores, hidden, min(k, len(data.items)))
        return self._table({"user_id": request.users}, best.numpy(), best_scores.numpy())

    def rank(self, request: RankRequest) -> list[np.ndarray]:
        """Score the candidates of every row of a request; see `Recommender.rank`."""
        users, history, _ = self.histories(request.users, request.histories)
        scenarios = self.scenarios("rank", request.scenarios)
        indices = [self.fitted_data.items.lookup(row) for row in request.candidates]
        widest = max(map(len, indices), default=0)
        candidates = np.array([np.pad(row, (0, widest - len(row))) for row in indices], np.int32)
        recent = history.read.most_recent(self._candidate_core.history_length)
        scores = self.score_candidates(users, recent, candidates, scenarios)["scores"].numpy()
        return [row[: len(items)] for row, items in zip(scores, indices, strict=True)]

    def score_candidates(
        self, users: np.ndarray, histories: np.ndarray, candidates: np.ndarray, scenarios: np.ndarray | None = None
    ) -> dict[str, tf.Tensor]:
        """Score candidates.

        Args:
            users: user indices, int32 [B].
            histories: item indices, int32 [B, L].
            candidates: item indices, int32 [B, N].
            scenarios: scenario indices, int32 [B], for models that read one.

        Returns:
            `scores` float32 [B, N], and further outputs of the family.
        """
        inputs = self._inputs(users, histories, scenarios, None) | {"candidates": candidates}
        core = self._candidate_core
        return self._score_candidates({given.argument: inputs[given.argument] for given in core.inputs})

    def similar_items(self, items: Sequence[str], k: int) -> pd.DataFrame:
        """Return the items with the highest cosines; see `Recommender.similar_items`."""
        index = self._require_index("similar_items")
        known = self.fitted_data.items.lookup(items)
        top_k = min(k, len(self.fitted_data.items))
        no_exclusions = np.zeros((len(known), 0), np.int32)
        outputs = SimilarItems(index, top_k)({"item": tf.constant(known, tf.int32), "exclude": no_exclusions})
        return self._table({"query_item_id": list(items)}, outputs["items"].numpy(), outputs["scores"].numpy())

    def embed_items(self, items: Sequence[str]) -> ItemEmbeddings:
        """Return the vectors of items; see `Recommender.embed_items`."""
        core = embed_items_core(self._require_index("embed_items"))
        known = self.fitted_data.items.lookup(items)
        outputs = {name: value.numpy() for name, value in core.call({"item": tf.constant(known, tf.int32)}).items()}
        return ItemEmbeddings(list(items), outputs["embeddings"], outputs.get("biases"))

    def embed_queries(self, request: RecommendRequest) -> QueryEmbeddings:
        """Return the query vectors of users and histories; see `Recommender.embed_queries`."""
        model = self.built.query_model
        if model is None:
            raise InputError(f"embed_queries: a {self.family} has no query vectors")
        users, history, _ = self.histories(request.users, request.histories)
        inputs = self._inputs(users, history.read.most_recent(self.built.history_length), None, None)
        vectors = embed_query_core(model, self.built.history_length).call(inputs)["embedding"]
        return QueryEmbeddings(list(request.users), vectors.numpy())

    def histories(
        self, users: Sequence[str], histories: Sequence[Sequence[str]]
    ) -> tuple[np.ndarray, "RequestHistories", Histories]:
        """Look up the users and the histories of a request.

        Returns:
            User indices int32 [B]; the histories of the request; the stored ones.
        """
        indices = self.fitted_data.users.lookup(users)
        given, stored = self._known_items(histories), self.fitted_data.histories.take(indices)
        return indices, RequestHistories(given, Histories.where(given.lengths > 0, given, stored)), stored

    def scenarios(self, call: str, names: Sequence[str]) -> np.ndarray | None:
        """Look up the scenarios of a request, int32 [B]; None for a model that does not read any."""
        known = self.fitted_data.scenarios
        if known is None:
            if any(names):
                raise InputError(f"{call}: this {self.family} does not read scenarios; leave them out")
            return None
        indices = known.lookup(names)
        if not indices.all():
            unknown, available = names[int(np.argmin(indices))], ", ".join(known.tokens[1:])
            raise InputError(f"{call}: unknown scenario {unknown!r}; name one in every row, of {available}")
        return indices

    @cached_property
    def _candidate_core(self) -> Any:
        return candidate_scores_core(self.built)

    @cached_property
    def _score_candidates(self) -> Any:
        return tf.function(self._candidate_core.call, reduce_retracing=True, autograph=False)

    def _inputs(
        self,
        users: np.ndarray,
        histories: np.ndarray,
        scenarios: np.ndarray | None,
        features: np.ndarray | None,
    ) -> dict[str, Any]:
        """Return all inputs that a model may read, with zeros for missing ones."""
        inputs: dict[str, Any] = {"user": users, "history": histories}
        inputs["scenario"] = np.zeros_like(users) if scenarios is None else scenarios
        if self.fitted_data.features is not None:
            width = len(self.fitted_data.features.columns)
            inputs["user_features"] = np.zeros((len(users), width), np.int32) if features is None else features
        return inputs

    def _known_items(self, rows: Sequence[Sequence[str]]) -> Histories:
        """Look up the known items of every row."""
        indices = (self.fitted_data.items.lookup(row) for row in rows)
        return Histories.from_rows(row[row > 0] for row in indices)

    def _require_index(self, call: str) -> Any:
        if self.built.index is None:
            raise InputError(f"{call}: a {self.family} has no item vectors")
        return self.built.index

    def _check_pairs(self, targets: Targets, item_subset: np.ndarray | None) -> None:
        most = self.built.max_pairs
        items = len(self.fitted_data.items) if item_subset is None else len(item_subset)
        if most is not None and len(targets) * items > most:
            raise InputError(
                f"{self.family}: {len(targets):,} targets among {items:,} items are {len(targets) * items:,} pairs, "
                f"and at most {most:,} are scored in one call; rank fewer targets, or use it as the ranker of a cascade"
            )

    def _table(self, query: dict[str, Sequence[str]], items: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
        """Convert items and scores [rows, k] to a table with ids and titles, without empty positions."""
        rows, k = items.shape
        table = pd.DataFrame(
            {
                "row": np.repeat(np.arange(rows), k),
                **{name: np.repeat(np.asarray(ids, dtype=object), k) for name, ids in query.items()},
                "rank": np.tile(np.arange(1, k + 1), rows),
                "item_id": self.fitted_data.items.ids(items.ravel()),
                "title": self.fitted_data.titles[items.ravel()],
                "score": scores.ravel(),
            }
        )
        return table[items.ravel() > 0].reset_index(drop=True)


class RequestHistories(NamedTuple):
    """Histories of a request.

    Attributes:
        given: the known items of the request.
        read: the items that the model reads: the given ones, or the stored ones where none are given.
    """

    given: Histories
    read: Histories
