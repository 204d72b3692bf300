"""Item content of neural families: its options, its item embedding, and its growth by new items."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from tfllmrec.content.item_tokens import token_matrix, token_vocabulary
from tfllmrec.content.vector_columns import vector_matrix
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.models.base.config import STRICT, Fraction, Names
from tfllmrec.models.base.saving import reading
from tfllmrec.models.base.trainer import NeuralConfig

_TOKENS = "tokens.json"


@checked_dataclass(frozen=True, config=STRICT)
class ContentConfig(NeuralConfig):
    """The options of families that read item content, in addition to those of every `NeuralConfig`.

    Attributes:
        content: whether title and categories add to the vector of an item.
        vectors: columns of the item table with content vectors that add to it.
        token_std: standard deviation of the initial token vectors.
        id_dropout: probability that an item is represented by its content alone in a training step.
        modality_dropout: probability that the vector of a column is treated as missing.
    """

    content: bool = True
    vectors: Names = ()
    token_std: float = Field(default=0.05, gt=0)
    id_dropout: Fraction = 0.0
    modality_dropout: Fraction = 0.0


@dataclass(frozen=True)
class ItemContent:
    """The content of items: tokens of titles and categories, and columns of vectors.

    Attributes:
        tokens: the known tokens; empty where they are not read.
        columns: columns with vectors.
    """

    tokens: Vocabulary
    columns: tuple[str, ...]

    @classmethod
    def from_items(cls, items: pd.DataFrame, config: ContentConfig) -> Self:
        """Learn the tokens of an item table."""
        return cls(token_vocabulary(items) if config.content else Vocabulary([]), config.vectors)

    def embedding(self, items: pd.DataFrame, counts: np.ndarray, config: Any) -> ItemEmbedding:
        """Build the item embedding, the layer "items" of a model.

        Items without training interactions keep a zero ID embedding and are never sampled as negatives, so they are
        scored by content alone.

        Args:
            items: the item table.
            counts: training interactions of every item, [items + 1].
            config: the configuration, with `dim` and the options of a `ContentConfig`.
        """
        known, content = counts > 0, self._arrays(items)
        options = {name: getattr(config, name) for name in ("token_std", "id_dropout", "modality_dropout")}
        if content:
            embedding = ItemEmbedding.with_content(config.dim, **content, **options, name="items")
        else:
            embedding = ItemEmbedding(len(known) - 1, config.dim, name="items")
        embedding.id_vectors.assign(embedding.id_vectors * known[:, None])
        return embedding

    def grow(self, embedding: ItemEmbedding, new: pd.DataFrame, family: str) -> ItemEmbedding:
        """Return the embedding with new items.

        Raises:
            InputError: If the family does not read content.
        """
        content = self._arrays(new, embedding.vector_widths)
        if not content:
            raise InputError(f"this {family} scores items by their interactions alone; fit it with content")
        return embedding.with_new_items(**content)

    def save(self, folder: Path) -> None:
        """Write the tokens."""
        text = json.dumps(self.tokens.tokens[1:].tolist(), ensure_ascii=False)
        (folder / _TOKENS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, config: ContentConfig) -> Self:
        """Read what `save` wrote."""
        with reading(folder / _TOKENS) as path:
            return cls(Vocabulary(json.loads(path.read_text(encoding="utf-8"))), config.vectors)

    def _arrays(self, items: pd.DataFrame, widths: dict[str, int] | None = None) -> dict[str, Any]:
        """Tokens and vectors of an item table, as `ItemEmbedding.with_content` takes them."""
        arrays: dict[str, Any] = {}
        if len(self.tokens):
            arrays["tokens"] = token_matrix(items, self.tokens)
        if self.columns:
            widths = widths or {}
            arrays["vectors"] = {name: vector_matrix(items, name, widths.get(name)) for name in self.columns}
        return arrays


def copy_weights(source: keras.Model, target: keras.Model, *, skip: Sequence[keras.layers.Layer]) -> None:
    """Copy weights to a model of the same structure with more items; new rows are zeros.

    Args:
        source: the smaller model.
        target: the larger model.
        skip: layers of the target that have their weights already.
    """
    done = {id(weight) for layer in skip for weight in layer.weights}
    for before, after in zip(source.weights, target.weights, strict=True):
        if id(after) not in done:
            rows = [(0, new - old) for new, old in zip(after.shape, before.shape, strict=True)]
            after.assign(np.pad(before.numpy(), rows))


def keep_known_vectors(before: Any, grown: Any) -> None:
    """Copy the vectors of known items exactly; products of a larger table can differ in the last bit.

    Args:
        before: the `ItemIndex` of the known items.
        grown: the larger one.
    """
    rows = before.item_count + 1
    grown.vectors.assign(np.concatenate([before.vectors, grown.vectors[rows:]]))
