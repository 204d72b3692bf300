"""The configuration of the next-item family."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.models.base.config import STRICT, NotNegative, Rule
from tfllmrec.models.base.sequence_config import FREQUENT_ITEMS, SequenceConfig


@dataclass(frozen=True, config=STRICT)
class NextItemConfig(SequenceConfig):
    """The options of `NextItem`."""

    hidden_units: NotNegative = 0

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Return the rules of `SequenceConfig`, and a perceptron where items have many interactions."""
        rules = super().rules(data, options)
        perceptron = [Rule(FREQUENT_ITEMS, {"hidden_units": 256})] if rules[0].name == FREQUENT_ITEMS else []
        return [*rules, *perceptron]
