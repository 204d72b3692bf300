"""What neural families that know items by their content have in common: its options, and answers for new items."""

import copy
import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.tokens import token_matrix, token_vocabulary
from tfllmrec.content.vectors import vector_matrix
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.layers.scoring import ItemIndex
from tfllmrec.models.base.config import STRICT, Fraction, Names
from tfllmrec.models.base.saving import reading
from tfllmrec.models.base.trainer import NeuralConfig, NeuralRecommender

_TOKENS = "tokens.json"


@dataclass(frozen=True, config=STRICT)
class ContentConfig(NeuralConfig):
    """Attributes beside those of every `NeuralConfig`.

    content: whether an item's title and categories add to its vector.
    vectors: columns of the item table with content vectors that add to it.
    token_std: standard deviation of the tokens' vectors at the start.
    id_dropout: chance of an item to be known by its content alone in a training step.
    modality_dropout: chance of a column's vector to be taken for missing.
    """

    content: bool = True
    vectors: Names = ()
    token_std: float = Field(default=0.05, gt=0)
    id_dropout: Fraction = 0.0
    modality_dropout: Fraction = 0.0


class ContentRecommender(NeuralRecommender):
    """A neural recommender whose items are an `ItemEmbedding`, the layer "items" of its model.

    An item without an interaction in training has a vector of its own of zeros, and is no negative: what it is
    scored by is its content.
    """

    tokens: Vocabulary
    index: ItemIndex

    @abstractmethod
    def _build_on(self, items: ItemEmbedding) -> keras.Model:
        """The functional model around the item vectors."""

    def _build(self, train: Dataset) -> keras.Model:
        config, known = self.config, self.fitted_data.counts > 0
        self.tokens = token_vocabulary(train.items) if config.content else Vocabulary([])
        content = self._content(train.items)
        options = {name: getattr(config, name) for name in ("token_std", "id_dropout", "modality_dropout")}
        if content:
            items = ItemEmbedding.with_content(config.dim, **content, **options, name="items")
        else:
            items = ItemEmbedding(len(known) - 1, config.dim, name="items")
        items.own.assign(items.own * known[:, None])
        return self._build_on(items)

    def _content(self, items: pd.DataFrame, widths: dict[str, int] | None = None) -> dict[str, Any]:
        """Tokens and vectors of an item table, as `ItemEmbedding.with_content` takes them."""
        content: dict[str, Any] = {}
        if len(self.tokens):
            content["tokens"] = token_matrix(items, self.tokens)
        if self.config.vectors:
            widths = widths or {}
            content["vectors"] = {name: vector_matrix(items, name, widths.get(name)) for name in self.config.vectors}
        return content

    def _with_items(self, new: pd.DataFrame) -> Self:
        before: ItemEmbedding = self.model.get_layer("items")
        content = self._content(new, before.vector_widths)
        if not content:
            raise InputError(f"this {self.family} knows items by their interactions alone; train it with content")
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        items = before.with_more(**content)
        grown.model = grown._build_on(items)
        _copy_weights(self.model, grown.model, but=grown._grown_layers())
        grown._assemble()
        rows = len(self.fitted_data.items) + 1  # in a larger table they can differ in the last bit
        grown.index.vectors.assign(np.concatenate([self.index.vectors, grown.index.vectors[rows:]]))
        return grown

    def _grown_layers(self) -> list[keras.layers.Layer]:
        """The layers of a model with further items that know them from the start."""
        return [self.model.get_layer("items")]

    def _write(self, folder: Path) -> None:
        """The names of the tokens, so that new items can be read."""
        text = json.dumps(self.tokens.tokens[1:].tolist(), ensure_ascii=False)
        (folder / _TOKENS).write_text(text + "\n", encoding="utf-8")

    def _read(self, folder: Path) -> None:
        with reading(folder / _TOKENS) as path:
            self.tokens = Vocabulary(json.loads(path.read_text(encoding="utf-8")))


def _copy_weights(source: keras.Model, target: keras.Model, *, but: Sequence[keras.layers.Layer]) -> None:
    """Weights of one model to another of the same build with more items, which have zeros.

    Args:
        source: where they come from.
        target: where they go to.
        but: layers of the target that have their weights already.
    """
    done = {id(weight) for layer in but for weight in layer.weights}
    for before, after in zip(source.weights, target.weights, strict=True):
        if id(after) not in done:
            rows = [(0, new - old) for new, old in zip(after.shape, before.shape, strict=True)]
            after.assign(np.pad(before.numpy(), rows))
