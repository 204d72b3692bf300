"""The options that rankers share."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.models.base.config import STRICT, Fraction, NotNegative, Positive
from tfllmrec.models.base.trainer import NeuralConfig
from tfllmrec.tasks.ranking import Objective


@dataclass(frozen=True, config=STRICT)
class RankerConfig(NeuralConfig):
    """The options of rankers, in addition to those of every `NeuralConfig`, which configure the training on lists.

    Attributes:
        retriever: the family that finds the candidates to learn from, with its default options.
        candidates: candidates that it finds for a user.
        list_size: candidates of a list in training, the target and others sampled in every epoch; 0 for all.
        max_train_lists: lists with their target that are trained on, a seeded sample; 0 for all.
        max_validation_lists: validation lists that decide when to stop, a seeded sample; 0 for all.
        objective: see `tfllmrec.tasks.ranking.RankingTask`; "rating" learns from the ratings of all interactions
            instead of from lists, and is validated by the error of ratings.
    """

    retriever: str = "markov_chain"
    candidates: Positive = 100
    list_size: NotNegative = 0
    max_train_lists: NotNegative = 0
    max_validation_lists: NotNegative = 0
    objective: Objective = "listwise"
    learning_rate: float = Field(default=3e-3, gt=0)
    ema: Fraction = 0.9
    batch_size: Positive = 32
    epochs: Positive = 40
    patience: Positive = 6
