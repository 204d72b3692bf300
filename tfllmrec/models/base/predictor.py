"""Predictions of a fitted recommender: ids in, tables and arrays out."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.blocks import block_size, row_blocks
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets
from tfllmrec.layers.top_items import LOWEST, top_kept
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.cores import SimilarItems, candidate_scores_core, embed_items_core, embed_query_core
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.request_indices import RequestIndices, rows_of
from tfllmrec_client.requests import RankRequest, RecommendRequest
from tfllmrec_client.results import ItemEmbeddings, QueryEmbeddings

_PAIRS = 2**16  # pairs of a target and an item scored at a time: 32 MB at 128 numbers an item vector
_QUERIES = 1024  # histories encoded at a time


class BestItems(NamedTuple):
    """The best items of some rows of a request.

    Attributes:
        users: user ids.
        items: item indices, best first, int32 [rows, k]; 0 where fewer are left.
        scores: their scores, float32 [rows, k].
    """

    users: Sequence[str]
    items: np.ndarray
    scores: np.ndarray


class Predictor:
    """Calls the models of a recommender with ids or indices.

    Args:
        family: the family name, for messages.
        fitted_data: ids, titles and stored histories.
        built: the models.

    Attributes:
        indices: looks up the ids of requests.
    """

    def __init__(self, family: str, fitted_data: FittedData, built: BuiltModels) -> None:
        self.family, self.fitted_data, self.built = family, fitted_data, built
        self.indices = RequestIndices(family, fitted_data)
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
        self._check_pairs(len(targets), len(self.fitted_data.items) if item_subset is None else len(item_subset))
        if item_subset is not None and built.subset_by_candidates:
            block = block_size(len(item_subset), most=_PAIRS, cells=_PAIRS)

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

            return rank_targets(score_excluding, targets, None, k=k, item_subset=item_subset)
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
        blocks = self.best_items(request, k, features_given=features_given, exclude_seen=exclude_seen)
        items, scores = map(np.concatenate, zip(*((block.items, block.scores) for block in blocks), strict=True))
        return self._table({"user_id": request.users}, items, scores)

    def best_items(
        self, request: RecommendRequest, k: int, *, features_given: bool = False, exclude_seen: bool = True
    ) -> Iterator[BestItems]:
        """Yield the best items of the rows of a request, block by block, in memory that does not grow with the rows.

        Args:
            request: a request with any number of rows.
            k: items per row, at most all.
            features_given: whether the features of the request replace the stored ones.
            exclude_seen: see `Recommender.recommend`.

        Raises:
            InputError: If the model does not read the features or scenarios of the request.
        """
        if self.fitted_data.features is None and features_given:
            raise InputError(f"recommend: this {self.family} does not read user_features; leave them out")
        count = len(self.fitted_data.items)
        self._check_pairs(len(request.users), count)
        for rows in row_blocks(len(request.users), block_size(count + 1)):
            yield self._best_items(rows_of(request, rows), min(k, count), exclude_seen=exclude_seen)

    def _best_items(self, request: RecommendRequest, k: int, *, exclude_seen: bool) -> BestItems:
        data, indices = self.fitted_data, self.indices
        users, history = indices.histories(request.users, request.histories)
        seen = [history.given, history.stored] if exclude_seen else []
        hidden = Histories.concatenate([indices.known_items(request.excluded), *seen]).mask(len(data.items) + 1)
        features = None if data.features is None else data.features.lookup(request.features)
        scenarios = indices.scenarios("recommend", request.scenarios)
        recent = history.read.most_recent(self.built.history_length)
        exclude = Histories.from_mask(hidden).padded() if "exclude" in self.built.scorer.input else None
        scores = self.score(users, recent, scenarios, features=features, exclude=exclude)
        items, scores = top_kept(tf.where(hidden, LOWEST, scores), k)
        return BestItems(request.users, items.numpy(), scores.numpy())

    def rank(self, request: RankRequest) -> list[np.ndarray]:
        """Score the candidates of every row of a request; see `Recommender.rank`."""
        if self.built.candidate_scorer is None:  # scores all items
            size = block_size(len(self.fitted_data.items) + 1)
        else:
            size = block_size(max(map(len, request.candidates), default=0), cells=_PAIRS)
        blocks = row_blocks(len(request.users), size)
        return [scores for rows in blocks for scores in self._rank(rows_of(request, rows))]

    def _rank(self, request: RankRequest) -> list[np.ndarray]:
        users, history = self.indices.histories(request.users, request.histories)
        scenarios = self.indices.scenarios("rank", request.scenarios)
        candidates = self.indices.items(request.candidates)
        recent = history.read.most_recent(self._candidate_core.history_length)
        scores = self.score_candidates(users, recent, candidates.padded(), scenarios)["scores"].numpy()
        return [row[:length] for row, length in zip(scores, candidates.lengths, strict=True)]

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

    def similar_items(self, items: list[str], k: int) -> pd.DataFrame:
        """Return the items with the highest cosines; see `Recommender.similar_items`."""
        index, count = self._require_index("similar_items"), len(self.fitted_data.items)
        known, similar = self.fitted_data.items.lookup(items), SimilarItems(index, min(k, count))
        outputs = [
            similar({"item": tf.constant(known[rows], tf.int32), "exclude": tf.zeros([len(known[rows]), 0], tf.int32)})
            for rows in row_blocks(len(known), block_size(count + 1))
        ]
        best, scores = (np.concatenate([output[name] for output in outputs]) for name in ("items", "scores"))
        return self._table({"query_item_id": items}, best, scores)

    def embed_items(self, items: list[str]) -> ItemEmbeddings:
        """Return the vectors of items; see `Recommender.embed_items`."""
        core = embed_items_core(self._require_index("embed_items"))
        known = self.fitted_data.items.lookup(items)
        outputs = {name: value.numpy() for name, value in core.call({"item": tf.constant(known, tf.int32)}).items()}
        return ItemEmbeddings(items, outputs["embeddings"], outputs.get("biases"))

    def embed_queries(self, request: RecommendRequest) -> QueryEmbeddings:
        """Return the query vectors of users and histories; see `Recommender.embed_queries`."""
        model = self.built.query_model
        if model is None:
            raise InputError(f"embed_queries: a {self.family} has no query vectors")
        core, length = embed_query_core(model, self.built.history_length), self.built.history_length
        vectors = []
        for rows in row_blocks(len(request.users), _QUERIES):
            users, history = self.indices.histories(request.users[rows], request.histories[rows])
            inputs = self._inputs(users, history.read.most_recent(length), None, None)
            vectors.append(core.call(inputs)["embedding"])
        return QueryEmbeddings(request.users, np.concatenate(vectors))

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

    def _require_index(self, call: str) -> Any:
        if self.built.index is None:
            raise InputError(f"{call}: a {self.family} has no item vectors")
        return self.built.index

    def _check_pairs(self, rows: int, items: int) -> None:
        most = self.built.max_pairs
        if most is not None and rows * items > most:
            raise InputError(
                f"{self.family}: {rows:,} rows of {items:,} items are {rows * items:,} pairs, and at most {most:,} are "
                "scored in one call; pass fewer rows, or use it as the ranker of a cascade"
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
