"""Popularity: the same items for all users, or for all users of a segment."""

from pathlib import Path
from typing import Any

import keras
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.layers.users import StoredFeatures
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import STRICT, Config, given_options
from tfllmrec.models.base.fallback import popularity_scores
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import TrainingLog


@dataclass(frozen=True, config=STRICT)
class PopularityConfig(Config):
    """The options of `Popularity`."""

    segment: str = ""


class Popularity(Recommender):
    """Score every item by log(1 + its interactions).

    Args:
        segment: a column of the user table; interactions of users with the same value are counted. "" counts all.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> from tfllmrec import Dataset
        >>> interactions = pd.DataFrame(
        ...     {"user_id": list("uvwxyz"), "item_id": list("aaabbb"), "timestamp": [1, 2, 3, 4, 5, 6]}
        ... )
        >>> users = pd.DataFrame({"user_id": list("uvwxyz"), "gender": list("MMMFFF")})
        >>> data = Dataset.from_frames(interactions, users=users)
        >>> list(Popularity().fit(data).recommend(["z"], k=1)["item_id"])
        ['a']
        >>> model = Popularity(segment="gender").fit(data)
        >>> list(model.recommend(user_features=[["gender=F"]], k=2)["item_id"])
        ['b', 'a']
    """

    family = "popularity"
    config_class = PopularityConfig

    def __init__(
        self,
        *,
        segment: str | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: PopularityConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    @property
    def _user_columns(self) -> tuple[str, ...]:
        return (self.config.segment,) if self.config.segment else ()

    def _fit(self, train: Dataset, *_: Any) -> tuple[BuiltModels, TrainingLog]:
        features = self.fitted_data.features
        inputs = scoring_inputs(self.config.history_length, 0 if features is None else 1)
        stored = None if features is None else StoredFeatures.from_table(features.stored)
        scores = popularity_scores(self.fitted_data, inputs, self.config.segment, stored)
        return self._restore(keras.Model(inputs, scores)), {}

    def _restore(self, model: keras.Model, folder: Path | None = None) -> BuiltModels:
        return BuiltModels(model=model, scorer=model, history_length=self.config.history_length)
