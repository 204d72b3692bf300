"""The parts of a cascade: creation, checks, fits and scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from tfllmrec.arguments import require_type
from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext
from tfllmrec.models.cascade.config import CascadeConfig
from tfllmrec.models.ranker.candidates import ranker_scores, retrieve_candidates, retriever_scores
from tfllmrec.models.registry import FAMILIES, load_model, model_class

Part = str | Recommender
"""A family name, or a recommender."""


def family_of(part: Part) -> str:
    """Return the family name of a part."""
    require_type("cascade", "a part", part, (str, Recommender), "pass the name of a family, or a recommender")
    return part if isinstance(part, str) else part.family


@dataclass(frozen=True)
class CascadeParts:
    """Retrievers and ranker of a cascade.

    Attributes:
        retrievers: recommenders that find candidates.
        ranker: a recommender that orders them, or None.
    """

    retrievers: Sequence[Recommender]
    ranker: Recommender | None

    @property
    def all(self) -> list[Recommender]:
        """Retrievers and ranker, in the order of their weights."""
        return [*self.retrievers, *([self.ranker] if self.ranker else [])]

    @classmethod
    def create(cls, retrievers: Sequence[Part], ranker: Part, config: CascadeConfig, train: Dataset) -> Self:
        """Keep the given recommenders and create the others.

        Args:
            retrievers: families or recommenders.
            ranker: a family or a recommender; "" for none.
            config: options of the cascade, with those of its parts by family.
            train: training data; options that are not set are chosen from its size.
        """
        return cls(
            tuple(_created(part, config, train) for part in retrievers),
            _created(ranker, config, train) if ranker else None,
        )

    def check(self, train: Dataset, weights: int) -> None:
        """Check the parts before any is fitted.

        Args:
            train: training data.
            weights: number of given weights; 0 if they are to be learnt.

        Raises:
            InputError: If there is no retriever, the weights are not one a part, the ranker does not rank, two unfitted
                parts are of one family, a part reads scenarios, or a fitted part has other items or users.
        """
        if not self.retrievers:
            raise InputError("cascade: give at least one retriever")
        if weights not in (0, len(self.all)):
            raise InputError(f"cascade: give one weight for each of the {len(self.all)} parts, not {weights}")
        if self.ranker and not self.ranker.ranks_candidates:
            rankers = [name for name in FAMILIES if model_class(name).ranks_candidates]
            raise InputError(f"cascade: {self.ranker.family} is not a ranker; choose one of {', '.join(rankers)}")
        check_families([part for part in self.all if not part.is_fitted])
        for part in self.all:
            if part.uses_scenarios and train.scenarios is not None:
                raise InputError(
                    f"cascade: {part.family} reads scenarios, and a cascade has none; leave it out, or fit it on "
                    "interactions without that column"
                )
            if part.is_fitted and not part.fitted_data.has_ids_of(train):
                raise InputError(f"cascade: {part.family} was fitted on other ids; fit all parts on the same data")

    def fit(self, train: Dataset, validation: Targets | None, context: FitContext, candidates: int) -> None:
        """Fit the parts that are not fitted.

        The ranker learns from lists of retrievers that were fitted without the targets of the lists.

        Args:
            train: training data.
            validation: validation targets.
            context: context of the cascade's fit.
            candidates: items of every retriever in the lists of the ranker.
        """
        for part in self.retrievers:
            if not part.is_fitted:
                part.fit_in_context(train, validation, context.for_part(part.family))
        if not self.ranker or self.ranker.is_fitted:
            return

        def retrieve(known: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
            retrievers = self.retrievers
            if known is not train:
                retrievers = refitted(retrievers, known, validated=validation is not None)
            return [retrieve_candidates(retrievers, part, candidates) for part in targets]

        of_ranker = replace(context.for_part(self.ranker.family), retrieve=retrieve)
        self.ranker.fit_in_context(train, validation, of_ranker)

    def scores(self, lists: CandidateLists) -> np.ndarray:
        """Score lists by every part, float32 [n, N, parts]."""
        columns = [retriever_scores(retriever, lists) for retriever in self.retrievers]
        if self.ranker:
            columns.append(ranker_scores(self.ranker.predictor, lists))
        return np.stack(columns, axis=2)

    def with_items(self, new: pd.DataFrame) -> Self:
        """Return the parts with further items; see `Recommender.with_items`."""
        ranker = self.ranker.with_items(new) if self.ranker else None
        return replace(self, retrievers=tuple(part.with_items(new) for part in self.retrievers), ranker=ranker)

    def save(self, folder: Path) -> None:
        """Write every part to a subfolder; `load` reads them."""
        for position, part in enumerate(self.all):
            part.save(folder / f"part-{position}")

    @classmethod
    def load(cls, folder: Path, retrievers: int, *, with_ranker: bool) -> Self:
        """Read the parts of a saved cascade.

        Args:
            folder: folder of the cascade.
            retrievers: number of retrievers.
            with_ranker: whether it has a ranker.
        """
        loaded = tuple(load_model(folder / f"part-{position}") for position in range(retrievers + with_ranker))
        return cls(loaded[:retrievers], loaded[-1] if with_ranker else None)


def check_families(parts: Sequence[Recommender]) -> None:
    """Check that options by family are unambiguous.

    Raises:
        InputError: If two parts are of one family.
    """
    for name, count in Counter(part.family for part in parts).items():
        if count > 1:
            raise InputError(
                f"cascade: {count} parts are of the family {name}, and options are set by family; fit them one by "
                "one and pass the fitted recommenders"
            )


def refitted(retrievers: Sequence[Recommender], known: Dataset, *, validated: bool) -> list[Recommender]:
    """Fit retrievers of the same configurations on a part of the training data.

    Args:
        retrievers: fitted recommenders.
        known: the interactions to fit on.
        validated: whether their fits had validation targets, so that the best number of epochs is known.
    """
    configs = [retriever.refit_config() if validated else retriever.config for retriever in retrievers]
    pairs = zip(retrievers, configs, strict=True)
    return [retriever.with_config(config).fit(known, verbose=0) for retriever, config in pairs]


def _created(part: Part, config: CascadeConfig, train: Dataset) -> Recommender:
    """Return a given recommender, or create one that reads no more of a history than the cascade."""
    if isinstance(part, Recommender):
        return part
    options = {"seed": config.seed, **config.parts.get(part, {})}
    family = model_class(part)
    chosen = family.config_class.for_data(train, options)
    return family.with_config(replace(chosen, history_length=min(chosen.history_length, config.history_length)))
