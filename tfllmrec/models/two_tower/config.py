"""The configuration of the two-tower family, and the rules that choose its values."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.models.base.config import STRICT, Fraction, Names, Positive, Rule
from tfllmrec.models.base.content import ContentConfig
from tfllmrec.tasks.losses import RetrievalLoss


@dataclass(frozen=True, config=STRICT)
class TwoTowerConfig(ContentConfig):
    """The options of `TwoTower`."""

    dim: Positive = 128
    recent_items: Positive = 3
    pooling_heads: Positive = 4
    hidden_units: Positive = 256
    user_vectors: bool = True
    user_features: Names = ()
    segment: str = ""
    feature_dropout: Fraction = 0.3
    dropout: Fraction = 0.3
    candidate_dropout: Fraction = 0.0
    loss: RetrievalLoss = "softmax"
    negatives: Literal["in_batch", "mixed", "sampled", "full"] = "full"
    num_negatives: Positive = 1024
    temperature: Annotated[float, Field(gt=0)] = 1.0
    hard_negatives: Positive | None = None

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Return the rules found on validation targets of three data sets.

        Long histories support user vectors; short ones overfit them and need strong regularisation. With many
        interactions in-batch negatives are as good as the full softmax, and cheaper.
        """
        interactions, rules = len(data.interactions), []
        if interactions >= _MANY_INTERACTIONS:
            rules.append(_IN_BATCH)
        elif len(data.item_vocabulary) > _MOST_ITEMS_FOR_SOFTMAX:
            rules.append(Rule(f"more than {_MOST_ITEMS_FOR_SOFTMAX:,} items", {"negatives": "mixed"}))
        if interactions / len(data.user_vocabulary) < _SHORT_HISTORY:
            rules.append(_SHORT_HISTORIES)
        elif interactions < _FEW_INTERACTIONS:
            few = {"dim": 64, "learning_rate": 3e-3, "weight_decay": 0.3}
            rules.append(Rule(f"fewer than {_FEW_INTERACTIONS:,} interactions", few))
        return rules


_FEW_INTERACTIONS, _MANY_INTERACTIONS = 100_000, 500_000
_SHORT_HISTORY = 20  # interactions per user
_MOST_ITEMS_FOR_SOFTMAX = 20_000

_IN_BATCH = Rule(
    f"{_MANY_INTERACTIONS:,} interactions or more",
    {"negatives": "in_batch", "history_length": 30, "hidden_units": 512, "candidate_dropout": 0.2, "ema": 0.999},
)
_SHORT_HISTORIES = Rule(
    f"fewer than {_SHORT_HISTORY} interactions per user",
    {"user_vectors": False, "feature_dropout": 0.7, "dropout": 0.5, "weight_decay": 0.6},
)
