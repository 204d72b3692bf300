"""The configuration of the BERT ranking family."""

from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.errors import InputError
from tfllmrec.models.base.config import STRICT, Fraction, Names, Options, Positive
from tfllmrec.models.ranker.config import RankerConfig
from tfllmrec.models.ranker.text_ranker import BERT
from tfllmrec.models.registry import model_class


@dataclass(frozen=True, config=STRICT)
class BertRankerConfig(RankerConfig):
    """The options of `BertRanker`."""

    backbone: str = "small"
    columns: Names = ("title", "year", "categories", "text")
    text_length: Positive = 64
    towers: Options = Field(default_factory=dict)
    finetune_epochs: Positive = 10
    pooling_heads: Positive = 2
    hidden_units: Positive = 64
    dropout: Fraction = 0.2

    def tower_options(self) -> dict[str, Any]:
        """Return the options of the two towers.

        Raises:
            InputError: If an option is unknown or wrong, or the towers are to read user features.
        """
        given = {"id_dropout": 0.1, **self.towers}
        chosen: Any = model_class("two_tower").config_class.from_options(given)
        if chosen.user_features:
            raise InputError("bert_ranker: its towers do not read user features; remove user_features from towers")
        vectors = ",".join([*chosen.vectors, BERT])
        fixed = {"vectors": vectors, "user_vectors": False, "history_length": self.history_length, "seed": self.seed}
        return given | fixed
