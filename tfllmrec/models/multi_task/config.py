"""The configuration of the multi-task family: which tasks it learns, how they share, and how much each counts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.item_tokens import label_vocabulary
from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.experts import Sharing
from tfllmrec.models.base.config import STRICT, Fraction, Names, Options, Positive, Rule
from tfllmrec.models.base.sequence_config import SequenceConfig

TASKS = ("next_item", "retrieval", "like", "rating", "interests")
"""All tasks, in the order in which a model has them; recommendations are ordered by the first of its tasks."""


def _known(tasks: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in tasks if name not in TASKS]
    if unknown or not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(f"give one or more of {', '.join(TASKS)}, each once")
    if tasks == ("interests",):
        raise ValueError("interests do not order items; add another task")
    return tuple(name for name in TASKS if name in tasks)


@dataclass(frozen=True, config=STRICT)
class MultiTaskConfig(SequenceConfig):
    """The options of `MultiTask`."""

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
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Return the rules of `SequenceConfig`, larger batches for several scenarios, and the tasks with labels."""
        rules = list(super().rules(data, options))
        scenarios = 1 if data.scenarios is None else len(data.scenarios.names)
        if scenarios > 1:
            sizes = [rule.options["batch_size"] for rule in rules if "batch_size" in rule.options]
            batch_size = (sizes or [cls.batch_size])[-1] * min(scenarios, _MAX_BATCH_FACTOR)
            rules.append(Rule(f"{scenarios} scenarios", {"batch_size": batch_size}))
        labels = _label_columns(data)
        if labels:
            rules.append(Rule(f"labels in {', '.join(labels.values())}", {"tasks": ("next_item", *labels)}))
        return rules


_MAX_BATCH_FACTOR = 4  # every scenario has its usual rows in a step; a step of three shops takes 4 GiB


def _label_columns(data: Dataset) -> dict[str, str]:
    """Return the tasks that the data has labels for, with the column of the labels."""
    columns = {}
    if "rating" in data.interactions and data.interactions["rating"].notna().any():
        columns["rating"] = "rating"
    if "event" in data.interactions and (data.interactions["event"] != "").any():
        columns["like"] = "event"
    if len(label_vocabulary(data.items)):
        columns["interests"] = "categories"
    return columns
