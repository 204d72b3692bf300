"""The cascade: retrievers find candidates, a ranker and they together put them in order."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd

from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ranking import RankedTargets, rank_targets
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.cascade.config import CascadeConfig
from tfllmrec.models.cascade.network import ScoresOfAll, cascade
from tfllmrec.models.ranker.candidates import AT_ONCE, found_by, scores_of
from tfllmrec.models.ranker.model import Ranker


class Cascade(Recommender):
    """Retrieve, merge, rank: the best of several retrievers, each item once, put in order by a ranker and by them.

    Every part is fitted on the same interactions; the ranker learns from lists of retrievers that did not know the
    answers (see `Ranker`). An item's score is a weighted sum of the retrievers' scores and the ranker's; the weights
    are learnt on the validation targets (`learn_weights`).

    Example:
        >>> model = Cascade(retrievers="two_tower,next_item").fit(split.train, split.validation)
        >>> model = Cascade.of([two_tower, next_item], ranker, split.validation)  # of parts that are fitted already

    Attributes:
        retrievers: what finds candidates.
        ranker: what puts them in order, or None.
        lister: {"user", "history", "exclude"} -> candidates and their scores; see `cascade` in `network.py`.
        model: the weighted sum, {scores float32 [B, parts]} -> float32 [B, 1].
    """

    family = "cascade"
    config_class = CascadeConfig
    main_signature = "recommend"

    retrievers: list[Recommender]
    ranker: Ranker | None
    lister: keras.Model

    @classmethod
    def of(
        cls,
        retrievers: Sequence[Recommender],
        ranker: Ranker | None = None,
        validation: Targets | None = None,
        **options: Any,
    ) -> Self:
        """The cascade of parts that were fitted on the same training part.

        Args:
            retrievers: at least one.
            ranker: or None.
            validation: targets that the weights are learnt on, where `options` do not have them.
            options: of the `CascadeConfig`.

        Raises:
            InputError: the parts are not fitted, do not know the same items, or ask for a scenario; there are not as
                many weights as parts.
        """
        names = {"retrievers": [one.family for one in retrievers], "ranker": ranker.family if ranker else ""}
        made = cls(CascadeConfig.from_options({**options, **names}))
        made.config, made.retrievers, made.ranker = made._given, list(retrievers), ranker
        made._check_parts()
        for part in made._parts:
            part.require_fitted()
            if part.fitted_data.items != made._parts[0].fitted_data.items:
                raise InputError("cascade: the parts do not know the same items; fit them on the same training part")
            _refuse_scenarios(part, part.fitted_data.scenarios)
        made.fitted_data = made._parts[0].fitted_data
        made._weigh(validation)
        return made

    @property
    def weights(self) -> np.ndarray:
        """How much the retrievers count, and the ranker; float32 [parts]."""
        return self.model.get_weights()[0][:, 0]

    @property
    def history_length(self) -> int:
        """L, how many of the newest items the part that reads the most of them reads."""
        return max(part.history_length for part in self._parts)

    @property
    def _parts(self) -> list[Recommender]:
        return [*self.retrievers, *([self.ranker] if self.ranker else [])]

    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        def fitted(part: Recommender) -> Recommender:
            return part.fit(train, validation, **fitting.of_part(part.family))

        # What is wrong with a part fails here, before any is fitted.
        self.retrievers = [self._unfitted(name, train) for name in self.config.retrievers]
        self.ranker = self._unfitted_ranker(self.config.ranker, train) if self.config.ranker else None
        self.config.require_options_by_family()
        self._check_parts()
        for one in self._parts:
            _refuse_scenarios(one, train.scenarios)
        self.retrievers = [fitted(one) for one in self.retrievers]
        if self.ranker:
            self.ranker.retrieve = partial(self._retrieve, train, validation)
            fitted(self.ranker)
        self._weigh(validation)

    def _check_parts(self) -> None:
        """Raise an InputError where nothing is retrieved, or where the weights are not those of the parts."""
        weights, parts = len(self.config.weights), len(self._parts)
        if not self.retrievers:
            raise InputError("cascade: give at least one retriever")
        if weights not in (0, parts):
            raise InputError(f"cascade: give a weight for each of the {parts} parts, not {weights}")

    def _unfitted(self, name: str, train: Dataset) -> Recommender:
        """A part with its own options, and a history no longer than the cascade's."""
        from tfllmrec.models.registry import model_class  # which knows the cascade

        chosen, options = model_class(name), {"seed": self.config.seed, **self.config.parts.get(name, {})}
        config = chosen.config_class.for_data(train, options)
        return chosen(replace(config, history_length=min(config.history_length, self.config.history_length)))

    def _unfitted_ranker(self, name: str, train: Dataset) -> Ranker:
        from tfllmrec.models.registry import FAMILIES, model_class

        ranker = self._unfitted(name, train)
        if not isinstance(ranker, Ranker):
            rankers = [one for one in FAMILIES if issubclass(model_class(one), Ranker)]
            raise InputError(f"cascade: {name} is no ranker; there are {', '.join(rankers)}")
        return ranker

    def _retrieve(
        self, train: Dataset, validation: Targets | None, known: Dataset, questions: Sequence[Targets]
    ) -> list[CandidateLists]:
        """What the retrievers find, fitted on what is known: all of the training part, or some of it."""
        retrievers = self.retrievers
        if known is not train:
            configs = [one.refit_config() if validation else one.config for one in retrievers]
            pairs = zip(retrievers, configs, strict=True)
            retrievers = [type(one)(config).fit(known, verbose=0) for one, config in pairs]
        return [found_by(retrievers, asked, self.config.ranked) for asked in questions]

    def _weigh(self, validation: Targets | None) -> None:
        """Make the weighted sum, with weights that were given or are learnt."""
        weights = np.array(self.config.weights)
        if not len(weights):
            lists = found_by(self.retrievers, validation or self._sample(), self.config.ranked)
            if validation is None:
                weights = 1 / np.maximum(self._scores_of(lists)[lists.candidates > 0].std(axis=0), 1e-12)
            else:
                answered = lists.with_target()  # the others say nothing
                weights = learn_weights(self._scores_of(answered), answered.candidates, answered.targets.items)
        summed = keras.layers.Dense(1, use_bias=False, name="weights")
        self.model = keras.Sequential([keras.Input((len(weights),)), summed])
        summed.kernel.assign(weights[:, None])
        self._assemble()

    def _scores_of(self, lists: CandidateLists) -> np.ndarray:
        """Every part's scores of lists, float32 [n, N, parts]."""
        columns = [scores_of(one, lists) for one in self.retrievers]
        return np.stack([*columns, *([self.ranker.score_lists(lists)] if self.ranker else [])], axis=2)

    def _sample(self) -> Targets:
        """Some users and what is stored of them, where there is nothing to learn weights from."""
        users = np.flatnonzero(self.fitted_data.histories.lengths)[:AT_ONCE].astype(np.int32)
        return Targets(users, self.fitted_data.histories.take(users), np.ones_like(users))  # any answers will do

    def _build_scorer(self) -> keras.Model:
        config = self.config
        merged = cascade(
            [one.scorer for one in self.retrievers],
            self.ranker.ranker if self.ranker else None,
            self.weights.tolist(),
            history_length=self.history_length,
            candidates=config.candidates,
            ranked=config.ranked,
        )
        self.lister = merged
        scores = ScoresOfAll()(*(merged.output[name] for name in ("items", "scores", "sums")))
        return keras.Model(merged.input, scores)  # where nothing is known, every part says what is popular

    def rank_targets(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> RankedTargets:
        """See `Recommender.rank`; whatever a user has seen takes no place among the candidates."""
        self.require_fitted()

        def score(users: np.ndarray, histories: np.ndarray) -> Any:
            newest = Histories.from_padded(histories).most_recent(self.history_length)
            return self.score(users, newest, exclude=histories)

        longest = max(1, int(targets.histories.lengths.max(initial=1)))
        return rank_targets(score, targets, longest, k=k, item_subset=item_subset)

    def refit_config(self) -> CascadeConfig:
        """The parts' own, and the weights as they are.

        Raises:
            InputError: two parts are of one family, whose options are told apart by nothing.
        """
        self.config.require_options_by_family()
        parts = {one.family: one.refit_config().to_dict() for one in self._parts}
        return replace(self.config, parts=parts, weights=tuple(self.weights.tolist()))

    def _with_items(self, new: pd.DataFrame) -> Self:
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        grown.retrievers = [one.with_items(new) for one in self.retrievers]
        grown.ranker = self.ranker.with_items(new) if self.ranker else None
        grown._assemble()
        return grown

    def _write(self, folder: Path) -> None:
        for place, part in enumerate(self._parts):
            part.save(folder / f"part-{place}")

    def _read(self, folder: Path) -> None:
        from tfllmrec.models.registry import load_model

        count = len(self.config.retrievers)
        self.retrievers = [load_model(folder / f"part-{place}") for place in range(count)]
        ranker = load_model(folder / f"part-{count}") if self.config.ranker else None
        assert ranker is None or isinstance(ranker, Ranker), "as it was saved"
        self.ranker = ranker


def _refuse_scenarios(part: Recommender, scenarios: object) -> None:
    if part.asks_for_scenario and scenarios is not None:
        raise InputError(
            f"cascade: its {part.family} asks for a scenario, and a cascade is asked for none; leave it out, or fit it "
            "on interactions without that column"
        )
