"""The content-based family: what is like the things somebody had, by their words and the company they keep."""

import copy
import shutil
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import keras
import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.layers.history import DecayedMean, NewestFirst
from tfllmrec.layers.scoring import ItemIndex, scoring_inputs
from tfllmrec.models.base.config import STRICT, Config, Names, Positive
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.baselines.popularity import popular_if_empty, popularity

if TYPE_CHECKING:
    from tfllmrec.content.word2vec import Word2VecContent

_CONTENT = "word2vec"


@dataclass(frozen=True, config=STRICT)
class Word2VecConfig(Config):
    """Attributes beside those of every `Config`; most are those of `tfllmrec.content.word2vec.Word2VecOptions`.

    decay: weight of an item in a history relative to the one after it.
    neighbours: whether items are known by their neighbours in histories as well.
    columns: of the item table, with text.
    names: columns of the item table with names, `|` between; each name is one word.
    language: how Chinese characters are cut.
    dim: width of the vectors of words, and of those of neighbours.
    window: words before and after that a word is to predict, at most.
    min_count: words that occur less often are unknown.
    epochs: passes over texts and over histories; None chooses by their size.
    phrases: words that mostly come together become one.
    subwords: unknown words have the vectors of their parts.
    remove_common: what all texts have in common is taken out.
    """

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


class Word2Vec(Recommender):
    """Items by Word2Vec of their texts and of histories; a user is the decayed mean of the vectors of their items.

    It needs no interaction to know an item (see `Word2VecContent`), and learns nothing of users: the family for new
    shops and new items.

    Example:
        >>> model = Word2Vec(columns=["title", "text"]).fit(split.train)
        >>> model.recommend(histories=[["1", "260"]], k=10)

    Attributes:
        content: what turns item tables into vectors.
        index: the item vectors, the layer "items" of the model.
        model: {"user", "history": int32 [B, L]} -> query vectors float32 [B, D]; it does not read the user.
        query_model: the same.
    """

    family = "word2vec"
    config_class = Word2VecConfig
    scores_are_products = True

    content: "Word2VecContent"
    index: ItemIndex
    query_model: keras.Model

    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        config = self.config
        from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions  # gensim takes seconds to load

        told = config.to_dict()
        options = Word2VecOptions(**{field.name: told[field.name] for field in fields(Word2VecOptions)})
        interactions = train.interactions if config.neighbours else None
        self.content = Word2VecContent.fit(train.items, interactions, options, progress=bool(fitting.verbose))
        self._index_vectors(self.content.transform(train.items))

    def _index_vectors(self, vectors: np.ndarray) -> None:
        """Make the model of item vectors [items, D]."""
        index = ItemIndex(*vectors.shape, name="items")
        index.vectors.assign(np.pad(vectors, [(1, 0), (0, 0)]))
        inputs = scoring_inputs(self.history_length)
        newest_first = NewestFirst()(inputs["history"])
        query = DecayedMean(self.config.decay)(index(newest_first), newest_first > 0)
        self.model = keras.Model(inputs, query)
        self._assemble()

    def _build_scorer(self) -> keras.Model:
        self.index, self.query_model = self.model.get_layer("items"), self.model
        inputs = self.model.input
        popular = popularity(self.fitted_data, inputs)
        return keras.Model(inputs, popular_if_empty(self.index.scores(self.model.output), popular, inputs))

    def _with_items(self, new: pd.DataFrame) -> Self:
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        grown._index_vectors(np.concatenate([self.index.vectors[1:], self.content.transform(new)]))
        return grown

    def _write(self, folder: Path) -> None:
        shutil.rmtree(folder / _CONTENT, ignore_errors=True)  # that of a save before
        self.content.save(folder / _CONTENT)

    def _read(self, folder: Path) -> None:
        from tfllmrec.content.word2vec import Word2VecContent

        self.content = Word2VecContent.load(folder / _CONTENT)
