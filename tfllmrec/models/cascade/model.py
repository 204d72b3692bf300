"""The cascade: retrievers find candidates; a ranker orders them together with the retrievers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.cores import best_items_core, rank_signature, retrieval_signatures
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.signature import Outputs, Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.cascade.config import CascadeConfig
from tfllmrec.models.cascade.network import ScoresOfAll, cascade
from tfllmrec.models.ranker.candidates import BLOCK, ranker_scores, retrieve_candidates, retriever_scores
from tfllmrec.models.ranker.text_ranker import rank_texts_signature
from tfllmrec.models.registry import FAMILIES, load_model, model_class

Part = str | Recommender


@dataclass(frozen=True, kw_only=True)
class CascadeModels(BuiltModels):
    """The models of a `Cascade`.

    Attributes:
        retrievers: fitted recommenders that find candidates.
        ranker: a fitted recommender that orders them, or None.
        lister: {"user", "history", "exclude"} to candidates and their scores; see `cascade` in `network.py`.
    """

    retrievers: Sequence[Recommender]
    ranker: Recommender | None
    lister: keras.Model

    @property
    def parts(self) -> list[Recommender]:
        """Retrievers and ranker."""
        return [*self.retrievers, *([self.ranker] if self.ranker else [])]


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
        given = [] if retrievers is None or isinstance(retrievers, str) else list(retrievers)
        if given:
            options["retrievers"] = [_family(part) for part in given]
        if ranker is not None:
            options["ranker"] = _family(ranker)
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
        return self.built.retrievers

    @property
    def ranker(self) -> Recommender | None:
        """The recommender that orders candidates, or None."""
        return self.built.ranker

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[CascadeModels, TrainingLog]:
        config = self.config
        # Wrong parts are refused before any is fitted.
        retrievers = [self._part(part, train) for part in self._retrievers or config.retrievers]
        ranker = self._part(self._ranker or config.ranker, train) if config.ranker else None
        self._check(retrievers, ranker, train)
        for part in retrievers:
            if not part.is_fitted:
                part.fit_in_context(train, validation, context.for_part(part.family))
        if ranker and not ranker.is_fitted:

            def retrieve(known: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
                fitted = (
                    retrievers if known is train else _refitted(retrievers, known, validated=validation is not None)
                )
                return [retrieve_candidates(fitted, part, config.ranked) for part in targets]

            ranker.fit_in_context(train, validation, replace(context.for_part(ranker.family), retrieve=retrieve))
        return self._serve(retrievers, ranker, self._weigh(retrievers, ranker, validation)), {}

    def _part(self, part: Part, train: Dataset) -> Recommender:
        """Return a given recommender, or create one that reads no more of a history than the cascade."""
        if isinstance(part, Recommender):
            return part
        options = {"seed": self.config.seed, **self.config.parts.get(part, {})}
        chosen = model_class(part)
        config = chosen.config_class.for_data(train, options)
        length = min(config.history_length, self.config.history_length)
        return chosen.with_config(replace(config, history_length=length))

    def _check(self, retrievers: Sequence[Recommender], ranker: Recommender | None, train: Dataset) -> None:
        """Check the parts before any is fitted.

        Raises:
            InputError: If there is no retriever, the number of weights differs from that of the parts, the ranker does
                not rank, two unfitted parts are of one family, a part reads scenarios, or parts have different items.
        """
        parts, weights = [*retrievers, *([ranker] if ranker else [])], len(self.config.weights)
        if not retrievers:
            raise InputError("cascade: give at least one retriever")
        if weights not in (0, len(parts)):
            raise InputError(f"cascade: give one weight for each of the {len(parts)} parts, not {weights}")
        if ranker and not ranker.ranks_candidates:
            rankers = [name for name in FAMILIES if model_class(name).ranks_candidates]
            raise InputError(f"cascade: {ranker.family} is not a ranker; choose one of {', '.join(rankers)}")
        _check_families([part for part in parts if not part.is_fitted])
        for part in parts:
            if part.uses_scenarios and train.scenarios is not None:
                raise InputError(
                    f"cascade: {part.family} reads scenarios, and a cascade has none; leave it out, or fit it on "
                    "interactions without that column"
                )
            if part.is_fitted and part.fitted_data.items != train.item_vocabulary:
                raise InputError(f"cascade: {part.family} was fitted on other items; fit all parts on the same data")

    def _weigh(
        self, retrievers: Sequence[Recommender], ranker: Recommender | None, validation: Targets | None
    ) -> np.ndarray:
        """Return the weights of the parts: the given ones, learnt ones, or inverse deviations without targets."""
        if len(self.config.weights):
            return np.array(self.config.weights)
        lists = retrieve_candidates(retrievers, validation or self._sample(), self.config.ranked)
        if validation is None:
            scores = _scores(retrievers, ranker, lists)[lists.candidates > 0]
            return 1 / np.maximum(scores.std(axis=0), 1e-12)
        lists = lists.with_target()
        return learn_weights(_scores(retrievers, ranker, lists), lists.candidates, lists.targets.items)

    def _sample(self) -> Targets:
        """Return some users and their stored histories, with arbitrary targets."""
        stored = self.fitted_data.histories
        users = np.flatnonzero(stored.lengths)[:BLOCK].astype(np.int32)
        return Targets(users, stored.take(users), np.ones_like(users))

    def _serve(
        self, retrievers: Sequence[Recommender], ranker: Recommender | None, weights: np.ndarray
    ) -> CascadeModels:
        summed = keras.layers.Dense(1, use_bias=False, name="weights")
        model = keras.Sequential([keras.Input((len(weights),)), summed])
        summed.kernel.assign(weights[:, None])
        return self._with_weights(model, retrievers, ranker)

    def _with_weights(
        self, model: keras.Model, retrievers: Sequence[Recommender], ranker: Recommender | None
    ) -> CascadeModels:
        """Build the models around the weighted sum, {scores float32 [B, parts]} to float32 [B, 1]."""
        parts = [*retrievers, *([ranker] if ranker else [])]
        history_length = max(part.history_length for part in parts)
        lister = cascade(
            [retriever.scorer for retriever in retrievers],
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
            retrievers=tuple(retrievers),
            ranker=ranker,
            lister=lister,
        )

    def _restore(self, model: keras.Model, folder: Path) -> CascadeModels:
        count = len(self.config.retrievers)
        retrievers = [load_model(folder / f"part-{position}") for position in range(count)]
        ranker = load_model(folder / f"part-{count}") if self.config.ranker else None
        return self._with_weights(model, retrievers, ranker)

    def _save_parts(self, folder: Path) -> None:
        for position, part in enumerate(self.built.parts):
            part.save(folder / f"part-{position}")

    def _grow(self, built: Any, new: pd.DataFrame) -> CascadeModels:
        retrievers = [retriever.with_items(new) for retriever in built.retrievers]
        return self._with_weights(built.model, retrievers, built.ranker.with_items(new) if built.ranker else None)

    def refit_config(self) -> CascadeConfig:
        """Return the configuration with the parts' own refit configurations, and the weights.

        Raises:
            InputError: If two parts are of one family, because options are set by family.
        """
        parts = self.built.parts
        _check_families(parts)
        options = {part.family: part.refit_config().to_dict() for part in parts}
        return replace(self.config, parts=options, weights=tuple(self.weights.tolist()))

    def signatures(self, top_k: int) -> list[Signature]:
        """Declare the signatures of an export; see `Recommender.signatures`."""
        built = self.built
        core = best_items_core(built, top_k)
        if top_k <= self.config.candidates:  # the candidates alone can be returned
            core = replace(core, call=_best_candidates(built.lister, top_k))
        texts = [rank_texts_signature(built.ranker.built.text_ranker)] if built.ranker else []
        return [*retrieval_signatures(core, main=self.main_signature), rank_signature(built), *texts]


def _best_candidates(lister: keras.Model, top_k: int) -> Any:
    """Return the core that orders the candidates of a lister."""

    def best(inputs: dict[str, tf.Tensor]) -> Outputs:
        lists = lister({name: inputs[name] for name in lister.input}, training=False)
        enough = lists["ranked"].shape[1] >= top_k  # then the scores of the others are not computed
        scores, positions = tf.math.top_k(lists["ranked" if enough else "scores"], top_k)
        return {"items": tf.gather(lists["items"], positions, batch_dims=1), "scores": scores}

    return best


def _family(part: Part) -> str:
    return part if isinstance(part, str) else part.family


def _scores(retrievers: Sequence[Recommender], ranker: Recommender | None, lists: CandidateLists) -> np.ndarray:
    """Score lists by every part, float32 [n, N, parts]."""
    columns = [retriever_scores(retriever, lists) for retriever in retrievers]
    return np.stack([*columns, *([ranker_scores(ranker.predictor, lists)] if ranker else [])], axis=2)


def _refitted(retrievers: Sequence[Recommender], known: Dataset, *, validated: bool) -> list[Recommender]:
    """Fit retrievers of the same configurations on some of the training part."""
    configs = [retriever.refit_config() if validated else retriever.config for retriever in retrievers]
    pairs = zip(retrievers, configs, strict=True)
    return [retriever.with_config(config).fit(known, verbose=0) for retriever, config in pairs]


def _check_families(parts: Sequence[Recommender]) -> None:
    """Check that options by family are unambiguous."""
    for name, count in Counter(part.family for part in parts).items():
        if count > 1:
            raise InputError(
                f"cascade: {count} parts are of the family {name}, and options are set by family; fit them one by "
                "one and pass the fitted recommenders"
            )
