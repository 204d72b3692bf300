"""Word2Vec vectors of item texts and of histories."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import keras
import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.layers.history import DecayedMean, MostRecentFirst
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import STRICT, Config, Names, Positive, given_options
from tfllmrec.models.base.fallback import popular_if_empty, popularity_scores
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext, TrainingLog

if TYPE_CHECKING:
    from tfllmrec.content.word2vec import Word2VecContent

_CONTENT = "word2vec"


@checked_dataclass(frozen=True, config=STRICT)
class Word2VecConfig(Config):
    """The options of `Word2Vec`; most are those of `tfllmrec.content.word2vec.Word2VecOptions`."""

    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    neighbours: bool = True
    columns: Names = ("title",)
    names: Names = ("categories",)
    language: Literal["auto", "zh", "other"] = "auto"
    dim: Positive = 64
    window: Positive = 20
    min_count: Positive = 2
    epochs: Positive | None = None
    phrases: bool = True
    subwords: bool = False
    remove_common: bool = True


@dataclass(frozen=True, kw_only=True)
class Word2VecModels(BuiltModels):
    """The models of a `Word2Vec`.

    Attributes:
        content: maps item tables to vectors.
    """

    content: "Word2VecContent"


class Word2Vec(Recommender):
    """Represent items by Word2Vec (Mikolov et al., 2013) of their texts and of histories, and users by a decayed mean.

    Items need no interactions, and users are not learnt, so it suits new catalogs and new items.

    Args:
        decay: weight of an item in a history relative to the following one.
        neighbours: whether item vectors also come from neighbours in histories.
        columns: text columns of the item table.
        names: columns of names separated by `|`; every name is one word.
        language: how Chinese text is segmented.
        dim: width of word vectors, and of neighbour vectors.
        window: maximum distance of a predicted word.
        min_count: minimum number of occurrences of a known word.
        epochs: passes over texts and histories; by default chosen from their size.
        phrases: whether words that mostly occur together become one.
        subwords: whether unknown words get vectors of their parts.
        remove_common: whether the component that all texts share is removed.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> from tfllmrec import checkerboard, leave_one_out
        >>> split = leave_one_out(checkerboard().data)
        >>> model = Word2Vec(columns=["title", "categories"], epochs=1).fit(split.train)
        >>> sorted(model.recommend(histories=[["i00", "i02"]], k=8)["item_id"])
        ['i04', 'i06', 'i08', 'i10', 'i12', 'i14', 'i16', 'i18']
    """

    family = "word2vec"
    config_class = Word2VecConfig
    built: Word2VecModels

    def __init__(
        self,
        *,
        decay: float | None = None,
        neighbours: bool | None = None,
        columns: str | Sequence[str] | None = None,
        names: str | Sequence[str] | None = None,
        language: Literal["auto", "zh", "other"] | None = None,
        dim: int | None = None,
        window: int | None = None,
        min_count: int | None = None,
        epochs: int | None = None,
        phrases: bool | None = None,
        subwords: bool | None = None,
        remove_common: bool | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: Word2VecConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    @property
    def content(self) -> "Word2VecContent":
        """The object that maps item tables to vectors."""
        return self.built.content

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[Word2VecModels, TrainingLog]:
        from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions  # gensim takes seconds to import

        values = self.config.to_dict()
        options = Word2VecOptions(**{field.name: values[field.name] for field in fields(Word2VecOptions)})
        interactions = train.interactions if self.config.neighbours else None
        content = Word2VecContent.fit(train.items, interactions, options, progress=bool(context.verbose))
        return self._build(content, content.transform(train.items)), {}

    def _build(self, content: "Word2VecContent", vectors: np.ndarray) -> Word2VecModels:
        """Build the models around item vectors [items, D]."""
        index = ItemIndex(*vectors.shape, name="items")
        index.vectors.assign(np.pad(vectors, [(1, 0), (0, 0)]))
        inputs = scoring_inputs(self.config.history_length)
        most_recent_first = MostRecentFirst()(inputs["history"])
        query = DecayedMean(self.config.decay)(index(most_recent_first), most_recent_first > 0)
        return self._serve(keras.Model(inputs, query), index, content)

    def _serve(self, model: keras.Model, index: ItemIndex, content: "Word2VecContent") -> Word2VecModels:
        popular = popularity_scores(self.fitted_data, model.input)
        return Word2VecModels(
            model=model,
            scorer=keras.Model(model.input, popular_if_empty(index.scores(model.output), popular, model.input)),
            history_length=self.config.history_length,
            query_model=model,
            index=index,
            scores_are_products=True,
            content=content,
        )

    def _restore(self, model: keras.Model, folder: Path) -> Word2VecModels:
        from tfllmrec.content.word2vec import Word2VecContent

        return self._serve(model, model.get_layer("items"), Word2VecContent.load(folder / _CONTENT))

    def _save_parts(self, folder: Path) -> None:
        shutil.rmtree(folder / _CONTENT, ignore_errors=True)  # of an earlier save
        self.content.save(folder / _CONTENT)

    def _grow(self, built: Any, new: pd.DataFrame) -> Word2VecModels:
        return self._build(built.content, np.concatenate([built.index.vectors[1:], built.content.transform(new)]))
