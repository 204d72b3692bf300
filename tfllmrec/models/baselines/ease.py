"""Baseline: the closed-form linear autoencoder of collaborative filtering."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
import scipy.linalg
import scipy.sparse
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.errors import InputError
from tfllmrec.layers.scoring import DenseItemToItem, item_to_item_model
from tfllmrec.models.base.config import STRICT, Config
from tfllmrec.models.base.recommender import Recommender

_MOST_ITEMS = 20_000
"""The matrix is dense: at 20,000 items it takes 1.6 GB, and its inverse minutes."""


@dataclass(frozen=True, config=STRICT)
class EaseConfig(Config):
    """Attributes beside those of every `Config`.

    l2: strength of the regularisation, in interactions.
    """

    l2: Annotated[float, Field(gt=0)] = 300.0

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """Histories are read whole: order does not matter to this family, and every item counts."""
        longest = int(data.histories.lengths.max())
        return cls.from_options({"history_length": longest, **options})


class Ease(Recommender):
    """Embarrassingly shallow autoencoder (Steck, 2019, arXiv 1905.03375).

    Raises:
        InputError: from `fit`, where the catalogue is too large for a dense item-to-item matrix.
    """

    family = "ease"
    config_class = EaseConfig

    def _fit(self, train: Dataset, *_: Any) -> None:
        counts = self.fitted_data.counts
        if len(counts) - 1 > _MOST_ITEMS:
            raise InputError(
                f"ease: {len(counts) - 1:,} items are too many for a dense item-to-item matrix, which takes at most "
                f"{_MOST_ITEMS:,}; choose another family"
            )
        matrix = autoencoder_weights(train.histories, len(counts), self.config.l2)
        product = DenseItemToItem(len(counts) - 1)
        product.matrix.assign(matrix)
        self.model = item_to_item_model(product, counts, self.history_length)
        self._assemble()


def autoencoder_weights(histories: Histories, size: int, l2: float) -> np.ndarray:
    """The item-to-item weights that best rebuild every history without an item's own help, float32 [size, size].

    B = I - P diag(1 / diag P), P = (X'X + l2 I)^-1 for the binary user-by-item matrix X.
    """
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    seen = scipy.sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows, histories.values)), shape=(len(histories), size)
    )
    seen.data[:] = 1.0  # repeats of an item were summed
    gram = (seen.T @ seen).toarray()
    gram[np.diag_indices(size)] += l2
    inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(size)] = 0.0
    return weights
