"""The next-item family's configuration, and the recipes its defaults are chosen from."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.encoders.recurrent import Cell, Precision
from tfllmrec.models.base.config import STRICT, Fraction, Positive
from tfllmrec.models.base.content import ContentConfig


@dataclass(frozen=True, config=STRICT)
class SequenceConfig(ContentConfig):
    """Attributes beside those of every `ContentConfig`, of families that read a history item by item.

    A row of training is `history_length` items long.

    dim: width of item and query vectors.
    units: of every recurrent layer.
    cell: lstm or gru.
    layers: recurrent layers.
    pooling_heads: weighted means of the history beside the recurrent state; 0 for none.
    normalise: LayerNorm of the item vectors that are read.
    input_dropout: of the item vectors that are read.
    dropout: of recurrent states and hidden units.
    query_dropout: of the query vectors.
    candidate_dropout: of the item vectors that are scored.
    label_smoothing: share of the target distribution that is spread over all items.
    loss: "full" softmax over all items, or over "sampled" ones with the logQ correction.
    negatives: items drawn for a batch, where `loss` draws any.
    hide_seen: items of the history are no negatives of what follows it ("full" only).
    precision: of recurrent layers and of the products of queries and items, in training only; bfloat16 is faster on
        processors that have it.
    """

    dim: Positive = 256
    units: Positive = 256
    cell: Cell = "lstm"
    layers: Positive = 1
    pooling_heads: int = Field(default=0, ge=0)
    normalise: bool = False
    token_std: float = Field(default=0.1, gt=0)
    input_dropout: Fraction = 0.5
    dropout: Fraction = 0.5
    query_dropout: Fraction = 0.0
    candidate_dropout: Fraction = 0.0
    label_smoothing: Fraction = 0.2
    loss: Literal["full", "sampled"] = "full"
    negatives: Positive = 4096
    hide_seen: bool = True
    precision: Precision = "float32"
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup: int = Field(default=1, ge=0)
    weight_decay: float = Field(default=0.4, ge=0)
    batch_size: Positive = 64
    epochs: Positive = 40

    def encoder_options(self) -> dict[str, Any]:
        """What `tfllmrec.layers.encoders.recurrent.history_encoder` is made of, its precision aside."""
        names = (
            "dim",
            "history_length",
            "units",
            "cell",
            "layers",
            "pooling_heads",
            "normalise",
            "input_dropout",
            "dropout",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, config=STRICT)
class NextItemConfig(SequenceConfig):
    """Attributes beside those of every `SequenceConfig`; `for_data` chooses them from the size of the data.

    hidden_units: units of the perceptron between state and query; 0 for none.
    """

    hidden_units: int = Field(default=0, ge=0)

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """The recipe of the data set that this one is most like; for many items a narrow model and drawn negatives.

        Where every item has many interactions, little regularisation and a model that sees the history in several
        ways are best; where items have few, a plain and wide one under strong regularisation.
        """
        return cls.from_options({**_recipe(data).to_dict(), **_sized(data), **options})


def sequence_recipe(data: Dataset) -> dict[str, Any]:
    """The options of `SequenceConfig` that `NextItemConfig.for_data` would choose."""
    options = _recipe(data).to_dict()
    del options["hidden_units"]
    return options | _sized(data)


def _recipe(data: Dataset) -> NextItemConfig:
    interactions, items = len(data.interactions), len(data.item_vocabulary)
    if interactions / items >= _MANY_INTERACTIONS_AN_ITEM:
        return ml_1m()
    return amazon_beauty() if interactions / len(data.user_vocabulary) < _SHORT_HISTORY else demo()


def _sized(data: Dataset) -> dict[str, Any]:
    return _MANY_ITEMS if len(data.item_vocabulary) > _MOST_ITEMS_FOR_SOFTMAX else {}


_MANY_INTERACTIONS_AN_ITEM = 100
_SHORT_HISTORY = 20  # interactions a user
_MOST_ITEMS_FOR_SOFTMAX = 100_000
_MANY_ITEMS = {"loss": "sampled", "dim": 64, "units": 64, "batch_size": 512}  # few steps: each updates every item


def ml_1m() -> NextItemConfig:
    """For MovieLens-1M: every item has hundreds of interactions, histories are long.

    `tfllmrec train next_item --data ml-1m --out runs/ml-1m` takes 40 to 55 minutes on two cores, an estimate from 24
    epochs on a busy machine. Expect a validation ndcg@10 of .229 and a test ndcg@10 of .212 (standard error .004).
    """
    return NextItemConfig(
        history_length=100,
        pooling_heads=4,
        hidden_units=256,
        normalise=True,
        token_std=0.05,
        input_dropout=0.4,
        dropout=0.3,
        query_dropout=0.1,
        candidate_dropout=0.2,
        label_smoothing=0.0,
        learning_rate=1.5e-3,
        weight_decay=0.2,
        epochs=20,
        patience=6,
    )


def amazon_beauty() -> NextItemConfig:
    """For Amazon Beauty: histories are short, and items have a dozen interactions.

    `tfllmrec train next_item --data FOLDER --out runs/beauty` takes 15 minutes on two cores. Expect a validation
    ndcg@10 of .079 and a test ndcg@10 of .061 (standard error .001).
    """
    return NextItemConfig(history_length=20, batch_size=256, token_std=0.2, learning_rate=2e-3)


def demo() -> NextItemConfig:
    """For the demo data, a small sample of MovieLens: long histories, items with few interactions.

    `tfllmrec train next_item --data demo --out runs/demo` takes 5 to 7 minutes on two cores. Expect a validation
    ndcg@10 of .108 and a test ndcg@10 of .090 (means of three seeds; the standard error over users is .008).
    """
    return NextItemConfig(patience=8)
