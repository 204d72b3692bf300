"""The configuration of families that read a history item by item, and the rules that choose its values."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.encoders.recurrent import Cell, Precision
from tfllmrec.models.base.config import STRICT, Fraction, NotNegative, Positive, Rule
from tfllmrec.models.base.content import ContentConfig


@dataclass(frozen=True, config=STRICT)
class SequenceConfig(ContentConfig):
    """The options of families that read a history item by item, in addition to those of every `ContentConfig`.

    Attributes:
        dim: width of item and query vectors.
        units: units of every recurrent layer.
        cell: "lstm" or "gru".
        layers: number of recurrent layers.
        pooling_heads: weighted means of the history in addition to the recurrent state.
        normalise: whether input item vectors are layer-normalised.
        input_dropout: dropout of input item vectors.
        dropout: dropout of recurrent states and hidden units.
        query_dropout: dropout of query vectors.
        candidate_dropout: dropout of scored item vectors.
        label_smoothing: share of the target distribution that is spread over all items.
        negatives: "full" softmax over all items, or over "sampled" ones with the logQ correction.
        num_negatives: sampled items per batch.
        hide_seen: whether items of the history are left out of the negatives ("full" only).
        precision: precision of recurrent layers and products in training.
    """

    dim: Positive = 256
    units: Positive = 256
    cell: Cell = "lstm"
    layers: Positive = 1
    pooling_heads: NotNegative = 0
    normalise: bool = False
    token_std: float = Field(default=0.1, gt=0)
    input_dropout: Fraction = 0.5
    dropout: Fraction = 0.5
    query_dropout: Fraction = 0.0
    candidate_dropout: Fraction = 0.0
    label_smoothing: Fraction = 0.2
    negatives: Literal["full", "sampled"] = "full"
    num_negatives: Positive = 4096
    hide_seen: bool = True
    precision: Precision = "float32"
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup: NotNegative = 1
    weight_decay: float = Field(default=0.4, ge=0)
    batch_size: Positive = 64
    epochs: Positive = 40

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Return the recipe of the benchmark data set that the data resembles, and a narrow model for many items.

        Little regularisation and several views of the history are best where every item has many interactions; a plain,
        wide model under strong regularisation where items have few.
        """
        interactions, items = len(data.interactions), len(data.item_vocabulary)
        if interactions / items >= MANY_INTERACTIONS_AN_ITEM:
            rules = [_FREQUENT_ITEMS]
        elif interactions / len(data.user_vocabulary) < _SHORT_HISTORY:
            rules = [_SHORT_HISTORIES]
        else:
            rules = [_LONG_HISTORIES]
        return [*rules, _MANY_ITEMS] if items > _MOST_ITEMS_FOR_SOFTMAX else rules

    def encoder_options(self) -> dict[str, Any]:
        """Return the options of `tfllmrec.layers.encoders.recurrent.history_encoder`, without its precision."""
        names = ("dim", "history_length", "units", "cell", "layers", "pooling_heads", "normalise")
        return {name: getattr(self, name) for name in (*names, "input_dropout", "dropout")}


MANY_INTERACTIONS_AN_ITEM = 100
_SHORT_HISTORY = 20  # interactions per user
_MOST_ITEMS_FOR_SOFTMAX = 100_000

FREQUENT_ITEMS = f"{MANY_INTERACTIONS_AN_ITEM} interactions per item or more"
_FREQUENT_ITEMS = Rule(  # the recipe of MovieLens-1M
    FREQUENT_ITEMS,
    {
        "history_length": 100,
        "pooling_heads": 4,
        "normalise": True,
        "token_std": 0.05,
        "input_dropout": 0.4,
        "dropout": 0.3,
        "query_dropout": 0.1,
        "candidate_dropout": 0.2,
        "label_smoothing": 0.0,
        "learning_rate": 1.5e-3,
        "weight_decay": 0.2,
        "epochs": 20,
        "patience": 6,
    },
)
_SHORT_HISTORIES = Rule(  # the recipe of Amazon Beauty
    f"fewer than {_SHORT_HISTORY} interactions per user",
    {"history_length": 20, "batch_size": 256, "token_std": 0.2, "learning_rate": 2e-3},
)
_LONG_HISTORIES = Rule("long histories, few interactions per item", {"patience": 8})  # the recipe of the demo data
_MANY_ITEMS = Rule(  # large batches: every step updates all items
    f"more than {_MOST_ITEMS_FOR_SOFTMAX:,} items",
    {"negatives": "sampled", "dim": 64, "units": 64, "batch_size": 512},
)
