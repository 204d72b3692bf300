"""The cascade's configuration."""

from collections import Counter

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.errors import InputError
from tfllmrec.models.base.config import STRICT, Config, Names, Numbers, Options, Positive


@dataclass(frozen=True, config=STRICT)
class CascadeConfig(Config):
    """Attributes beside those of every `Config`; of its `history_length` a part reads as much as its own allows.

    retrievers: families that find candidates.
    ranker: the family that puts them in order, or "" for none.
    candidates: items that every retriever finds.
    ranked: items of all those that the ranker scores, the best by the retrievers' weighted sum.
    weights: of the scores of the retrievers and of the ranker, in that order; () learns them on the validation targets,
        or makes the parts count alike where there are none.
    parts: options of the parts by family; what is not said is chosen from the size of the data.
    """

    history_length: Positive = 100
    retrievers: Names = ("two_tower", "next_item")
    ranker: str = "bert_ranker"
    candidates: Positive = 250
    ranked: Positive = 100
    weights: Numbers = ()
    parts: Options = Field(default_factory=dict)

    def require_options_by_family(self) -> None:
        """Raise an InputError where `parts` cannot say whose options are whose."""
        for name, count in Counter([*self.retrievers, self.ranker]).items():
            if count > 1:
                raise InputError(
                    f"cascade: {count} parts are of the family {name}, and options are given by family; fit them "
                    "one by one and join them with Cascade.of"
                )
