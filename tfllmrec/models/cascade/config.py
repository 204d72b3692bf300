"""The configuration of the cascade."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.models.base.config import STRICT, Config, Names, Numbers, Options, Positive


@dataclass(frozen=True, config=STRICT)
class CascadeConfig(Config):
    """The options of `Cascade`; a part reads no more of a history than `history_length`."""

    history_length: Positive = 100
    retrievers: Names = ("two_tower", "next_item")
    ranker: str = "bert_ranker"
    candidates: Positive = 250
    ranked: Positive = 100
    weights: Numbers = ()
    parts: Options = Field(default_factory=dict)
