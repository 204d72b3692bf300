"""The cascade: retrievers find candidates; a ranker orders them together with the retrievers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.cores import best_items_core, rank_signature, retrieval_signatures
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.signature import Outputs, Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.cascade.config import CascadeConfig
from tfllmrec.models.cascade.network import ScoresOfAll, cascade
from tfllmrec.models.cascade.parts import CascadeParts, Part, check_families, family_of
from tfllmrec.models.ranker.candidates import BLOCK, retrieve_candidates
from tfllmrec.models.ranker.text_ranker import rank_texts_signature


@dataclass(frozen=True, kw_only=True)
class CascadeModels(BuiltModels):
    """The models of a `Cascade`.

    Attributes:
        parts: fitted retrievers and ranker.
        lister: {"user", "history", "exclude"} to candidates and their scores; see `cascade` in `network.py`.
    """

    parts: CascadeParts
    lister: keras.Model


class Cascade(Recommender):
    """Retrieve, merge and rank: the best items of several retrievers, ordered by a ranker and by the retrievers.

    All parts are fitted on the same interactions; the ranker learns from lists of retrievers that have not seen the
    targets. The score of an item is a weighted sum of the scores of retrievers and ranker; the weights are learnt from
    the validation targets (`learn_weights`).

    Args:
        retrievers: families or fitted recommenders that find candidates. Fitted ones are kept, others are fitted.
        ranker: a family or a fitted recommender that orders the candidates; "" for none.
        candidates: items that every retriever finds.
        ranked: best candidates by the retrievers' weighted sum that the ranker scores.
        weights: weights of the scores of retrievers and ranker, in this order; by default they are learnt from the
            validation targets, or equalise the scores' deviations without targets.
        parts: options of unfitted parts by family; others are chosen from the size of the data.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> model = Cascade(retrievers=["two_tower", "next_item"]).fit(split.train, split.validation)
        >>> model = Cascade(retrievers=[two_tower, next_item], ranker=ranker).fit(split.train, split.validation)
    """

    family = "cascade"
    config_class = CascadeConfig
    main_signature = "recommend"
    built: CascadeModels

    def __init__(
        self,
        *,
        retrievers: str | Sequence[Part] | None = None,
        ranker: Part | None = None,
        candidates: int | None = None,
        ranked: int | None = None,
        weights: Sequence[float] | None = None,
        parts: Mapping[str, Any] | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: CascadeConfig | None = None,
    ) -> None:
        options = given_options(locals())
        retrievers = options.get("retrievers", ())
        given = [] if isinstance(retrievers, str) else list(retrievers)
        if given:
            options["retrievers"] = [family_of(part) for part in given]
        if ranker is not None:
            options["ranker"] = family_of(ranker)
        super().__init__(config, options)
        self._retrievers: list[Part] = given
        self._ranker = ranker

    @property
    def weights(self) -> np.ndarray:
        """The weights of the retrievers and of the ranker, float32 [parts]."""
        return self.model.get_weights()[0][:, 0]

    @property
    def retrievers(self) -> Sequence[Recommender]:
        """The recommenders that find candidates."""
        return self.built.parts.retrievers

    @property
    def ranker(self) -> Recommender | None:
        """The recommender that orders candidates, or None."""
        return self.built.parts.ranker

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[CascadeModels, TrainingLog]:
        config = self.config
        retrievers, ranker = self._retrievers or config.retrievers, self._ranker or config.ranker
        parts = CascadeParts.create(retrievers, ranker, config, train)
        parts.check(train, len(config.weights))
        parts.fit(train, validation, context, config.ranked)
        return self._blended(parts, self._weigh(parts, validation)), {}

    def _weigh(self, parts: CascadeParts, validation: Targets | None) -> np.ndarray:
        """Return the weights of the parts: the given ones, learnt ones, or inverse deviations without targets."""
        if len(self.config.weights):
            return np.array(self.config.weights)
        lists = retrieve_candidates(parts.retrievers, validation or self._sample(), self.config.ranked)
        if validation is None:
            scores = parts.scores(lists)[lists.candidates > 0]
            return 1 / np.maximum(scores.std(axis=0), 1e-12)
        lists = lists.with_target()
        return learn_weights(parts.scores(lists), lists.candidates, lists.targets.items)

    def _sample(self) -> Targets:
        """Return some users and their stored histories, with arbitrary targets."""
        stored = self.fitted_data.histories
        users = np.flatnonzero(stored.lengths)[:BLOCK].astype(np.int32)
        return Targets(users, stored.take(users), np.ones_like(users))

    def _blended(self, parts: CascadeParts, weights: np.ndarray) -> CascadeModels:
        summed = keras.layers.Dense(1, use_bias=False, name="weights")
        model = keras.Sequential([keras.Input((len(weights),)), summed])
        summed.kernel.assign(weights[:, None])
        return self._with_weights(model, parts)

    def _with_weights(self, model: keras.Model, parts: CascadeParts) -> CascadeModels:
        """Build the models around the weighted sum, {scores float32 [B, parts]} to float32 [B, 1]."""
        ranker, history_length = parts.ranker, max(part.history_length for part in parts.all)
        lister = cascade(
            [retriever.scorer for retriever in parts.retrievers],
            ranker.built.candidate_scorer if ranker else None,
            model.get_weights()[0][:, 0].tolist(),
            history_length=history_length,
            candidates=self.config.candidates,
            ranked=self.config.ranked,
        )
        scores = ScoresOfAll()(*(lister.output[name] for name in ("items", "scores", "sums")))
        return CascadeModels(
            model=model,
            scorer=keras.Model(lister.input, scores),  # for empty histories every part scores by popularity
            history_length=history_length,
            candidate_scorer=ranker.built.candidate_scorer if ranker else None,
            served_models=(lister, *(ranker.built.text_ranker.models if ranker else ())),
            backbone=ranker.built.backbone if ranker else None,
            parts=parts,
            lister=lister,
        )

    def _restore(self, model: keras.Model, folder: Path) -> CascadeModels:
        parts = CascadeParts.load(folder, len(self.config.retrievers), with_ranker=bool(self.config.ranker))
        return self._with_weights(model, parts)

    def _save_parts(self, folder: Path) -> None:
        self.built.parts.save(folder)

    def _grow(self, built: Any, new: pd.DataFrame) -> CascadeModels:
        return self._with_weights(built.model, built.parts.with_items(new))

    def refit_config(self) -> CascadeConfig:
        """Return the configuration with the parts' own refit configurations, and the weights.

        Raises:
            InputError: If two parts are of one family, because options are set by family.
        """
        parts = self.built.parts.all
        check_families(parts)
        options = {part.family: part.refit_config().to_dict() for part in parts}
        return replace(self.config, parts=options, weights=tuple(self.weights.tolist()))

    def signatures(self, top_k: int) -> list[Signature]:
        """Declare the signatures of an export; see `Recommender.signatures`."""
        built = self.built
        core = best_items_core(built, top_k)
        if top_k <= self.config.candidates:  # the candidates alone can be returned
            core = replace(core, call=_best_candidates(built.lister, top_k))
        texts = [rank_texts_signature(self.ranker.built.text_ranker)] if self.ranker else []
        return [*retrieval_signatures(core, main=self.main_signature), rank_signature(built), *texts]


def _best_candidates(lister: keras.Model, top_k: int) -> Any:
    """Return the core that orders the candidates of a lister."""

    def best(inputs: dict[str, tf.Tensor]) -> Outputs:
        lists = lister({name: inputs[name] for name in lister.input}, training=False)
        enough = lists["ranked"].shape[1] >= top_k  # then the scores of the others are not computed
        scores, positions = tf.math.top_k(lists["ranked" if enough else "scores"], top_k)
        return {"items": tf.gather(lists["items"], positions, batch_dims=1), "scores": scores}

    return best
