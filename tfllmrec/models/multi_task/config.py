"""The joint family's configuration: which tasks, how they share, and how much each counts."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.experts import Sharing
from tfllmrec.models.base.config import STRICT, Fraction, Names, Options, Positive
from tfllmrec.models.next_item.config import SequenceConfig, sequence_recipe

TASKS = ("next_item", "retrieval", "like", "rating", "interests")
"""What can be learnt; the first of a model's tasks that orders items is what it recommends by."""


def _known(tasks: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in tasks if name not in TASKS]
    if unknown or not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(f"give some of {', '.join(TASKS)}, each once")
    if tasks == ("interests",):
        raise ValueError("interests order no items; give another task beside them")
    return tuple(name for name in TASKS if name in tasks)


@dataclass(frozen=True, config=STRICT)
class MultiTaskConfig(SequenceConfig):
    """Attributes beside those of every `SequenceConfig`; `for_data` chooses them from the data.

    tasks: what is learnt, of "next_item" (softmax over the catalogue), "retrieval" (softmax over the batch), "rating"
        (squared error), "like" (cross-entropy) and "interests" (the categories of what comes next).
    weighting: of the tasks' losses: as given, or learnt by "uncertainty" (Kendall et al., 2018, CVPR).
    weights: of tasks by name, where they are given; 1 for others.
    sharing: how experts are shared; see `tfllmrec.layers.experts.expert_names`.
    experts: shared ones, where there is more than one.
    expert_units: hidden units of each.
    transfer: whether a scenario reads what was done in others and has an expert of its own. Gates know it anyway.
    like_threshold: a rating from which an interaction was a like.
    interest_window: next items whose categories are the interests.
    backbone: a BERT that reads what users write (column text of the interactions) for their interests, as in
        `BertRankerConfig`; "" for none.
    text_length: tokens of such a text that are read.
    pair_units: hidden units of what is said of a user and an item, for "rating" and "like".
    pair_dropout: of these units and of what they read.
    in_batch: positions of a batch that "retrieval" asks.
    """

    tasks: Annotated[Names, AfterValidator(_known)] = ("next_item",)
    weighting: Literal["given", "uncertainty"] = "given"
    weights: Options = Field(default_factory=dict)
    sharing: Sharing = "mmoe"
    experts: Positive = 3
    expert_units: Positive = 128
    transfer: bool = True
    like_threshold: float = 4.0
    interest_window: Positive = 3
    backbone: str = ""
    text_length: Positive = 64
    pair_units: Positive = 64
    pair_dropout: Fraction = 0.3
    in_batch: Positive = 1024

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """The next-item family's recipe for the data, and the tasks that the data has something for.

        A batch is as many times as large as there are scenarios: each has the rows in a step that it would have alone.
        """
        recipe = sequence_recipe(data)
        if data.scenarios is not None:
            recipe["batch_size"] *= min(len(data.scenarios.names), _MOST_TIMES)
        tasks = ["next_item"]
        if "rating" in data.interactions:
            tasks.append("rating")
        if "event" in data.interactions:
            tasks.append("like")
        if "categories" in data.items and (data.items["categories"] != "").any():
            tasks.append("interests")
        return cls.from_options({**recipe, "tasks": tasks, **options})


_MOST_TIMES = 4  # of the batch that one scenario would have; a step of three shops takes 4 GiB
