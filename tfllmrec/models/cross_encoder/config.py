"""The configuration of the cross-encoder family."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.models.base.config import STRICT, Names, NotNegative, Positive, Rule
from tfllmrec.models.ranker.config import RankerConfig


@dataclass(frozen=True, config=STRICT)
class CrossEncoderConfig(RankerConfig):
    """The options of `CrossEncoder`."""

    backbone: str = "small"
    columns: Names = ("title", "year", "categories", "text")
    text_length: Positive = 32
    title_length: Positive = 12
    history_tokens: Positive = 60
    history_length: Positive = 10
    tuning: Literal["full", "lora", "frozen"] = "full"
    lora_rank: Positive = 4
    precision: Literal["float32", "bfloat16"] = "float32"
    list_size: NotNegative = 8
    max_validation_lists: NotNegative = 1000
    learning_rate: float = Field(default=5e-5, gt=0)
    batch_size: Positive = 8
    epochs: Positive = 3

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Raise the learning rate where BERT's own weights are not trained: few weights start at zero."""
        tuning = str(options.get("tuning"))
        return [Rule(f"tuning {tuning}", {"learning_rate": _RATES[tuning]})] if tuning in _RATES else []


_RATES = {"lora": 2e-3, "frozen": 1e-3}
