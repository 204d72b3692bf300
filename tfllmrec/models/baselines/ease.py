"""EASE: the closed-form linear autoencoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import scipy.linalg
import scipy.sparse
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.errors import InputError
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import STRICT, Config, Rule, given_options
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import TrainingLog

_MAX_ITEMS = 20_000
"""The matrix is dense: at 20,000 items it takes 1.6 GB, and its inverse minutes."""


@dataclass(frozen=True, config=STRICT)
class EaseConfig(Config):
    """The options of `Ease`."""

    l2: Annotated[float, Field(gt=0)] = 300.0

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Read whole histories: their order does not matter."""
        return [Rule("longest history", {"history_length": int(data.histories.lengths.max())})]


class Ease(Recommender):
    """Embarrassingly shallow autoencoder (Steck, 2019, arXiv 1905.03375).

    Args:
        l2: L2 regularisation, in interactions.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Raises:
        InputError: From `fit`, if the catalog is too large for a dense item-to-item matrix.

    Example:
        >>> from tfllmrec import checkerboard, leave_one_out
        >>> split = leave_one_out(checkerboard().data)
        >>> Ease(l2=500).fit(split.train).recommend(["u00"], k=2)
           row user_id  rank item_id         title     score
        0    0     u00     1     i08   even item 8  0.125575
        1    0     u00     2     i16  even item 16  0.105999
    """

    family = "ease"
    config_class = EaseConfig

    def __init__(
        self,
        *,
        l2: float | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: EaseConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(self, train: Dataset, *_: Any) -> tuple[BuiltModels, TrainingLog]:
        counts = self.fitted_data.counts
        if len(counts) - 1 > _MAX_ITEMS:
            raise InputError(
                f"ease: {len(counts) - 1:,} items are too many for a dense item-to-item matrix of at most "
                f"{_MAX_ITEMS:,}; choose another family"
            )
        matrix = autoencoder_weights(train.histories, len(counts), self.config.l2)
        product = DenseItemToItem(len(counts) - 1)
        product.matrix.assign(matrix)
        return self._restore(item_to_item_model(product, counts, self.config.history_length)), {}

    def _restore(self, model: keras.Model, folder: Path | None = None) -> BuiltModels:
        return BuiltModels(model=model, scorer=model, history_length=self.config.history_length)


def autoencoder_weights(histories: Histories, size: int, l2: float) -> np.ndarray:
    """Compute the item-to-item weights that best reconstruct histories with a zero diagonal, float32 [size, size].

    B = I - P diag(1 / diag P), P = (X'X + l2 I)^-1 for the binary user-by-item matrix X.
    """
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    seen = scipy.sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows, histories.values)), shape=(len(histories), size)
    )
    seen.data[:] = 1.0  # repeated items were summed
    gram = (seen.T @ seen).toarray()
    gram[np.diag_indices(size)] += l2
    inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(size)] = 0.0
    return weights
