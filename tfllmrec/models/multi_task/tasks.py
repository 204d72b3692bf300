"""What the joint family trains with: its tasks as parts, and what is told of interactions."""

from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.network import candidates_of
from tfllmrec.tasks import negatives
from tfllmrec.tasks.negatives import Seed
from tfllmrec.tasks.next_item import NextItemSoftmax, NextItemTask
from tfllmrec.tasks.parts import InterestsPart, NextItemPart, PairPart, Part, RetrievalPart
from tfllmrec.tasks.ranking import RankingTask
from tfllmrec.tasks.retrieval import Retrieval


def part_of(name: str, model: keras.Model, config: MultiTaskConfig, counts: np.ndarray, draws: Seed) -> Part:
    """A task by its name, around its head in a `multi_task_model`.

    Args:
        name: one of `config.tasks`.
        model: with the head.
        config: of the family.
        counts: interactions by scenario and item, [scenarios, items + 1].
        draws: where random draws come from.
    """
    head = model.get_layer(f"{name}_head")
    candidates = candidates_of(model)
    match name:
        case "next_item":
            task = NextItemTask(label_smoothing=config.label_smoothing, precision=config.precision)
            options = {"hide_seen": config.hide_seen}
            drawn = [
                negatives.mixed(own, config.negatives, draws) if config.loss == "sampled" else None for own in counts
            ]
            softmaxes = [
                NextItemSoftmax(task, candidates, item_counts=own, negatives=others, **options) if own.any() else None
                for own, others in zip(counts, drawn, strict=True)
            ]
            return NextItemPart(softmaxes, head)
        case "retrieval":
            in_batch = negatives.in_batch(counts.max(axis=0))
            return RetrievalPart(Retrieval(), head, candidates, in_batch, most=config.in_batch, seed=draws)
        case "interests":
            return InterestsPart(RankingTask("pointwise"), head)
        case _:
            return PairPart(name, RankingTask("rating" if name == "rating" else "pointwise"), head, candidates)


def members_of(data: Dataset) -> np.ndarray:
    """Which items every scenario has, bool [scenarios + 1, items + 1]; without scenarios there is one that has all.

    Raises:
        InputError: some interactions have a scenario and some have none.
    """
    if data.scenarios is not None:
        nowhere = int(np.sum(data.scenario_indices == 0))
        if nowhere:
            raise InputError(
                f"interactions: {nowhere} values of column scenario are empty; name one everywhere, or leave it out"
            )
        return data.scenarios.members
    members = np.zeros((2, len(data.item_vocabulary) + 1), bool)
    members[1, 1:] = True
    return members


def members_of_new(items: pd.DataFrame, names: Vocabulary | None) -> np.ndarray:
    """The scenarios of further items, bool [scenarios + 1, items]: those that column scenario names, `|` between.

    Raises:
        InputError: an item is in no known one.
    """
    if names is None:
        return np.repeat([[False], [True]], len(items), axis=1)
    members = np.zeros((len(names) + 1, len(items)), bool)
    for place, told in enumerate(items["scenario"] if "scenario" in items else [""] * len(items)):
        members[names.lookup([name.strip() for name in told.split("|")]), place] = True
    members[0] = False
    nowhere = ~members.any(axis=0)
    if nowhere.any():
        raise InputError(
            f"items: {items['item_id'].iloc[int(np.argmax(nowhere))]!r} is in no known scenario; let column scenario "
            f"name some of {', '.join(names.tokens[1:])}, with | between"
        )
    return members


def labels_of(data: Dataset, tasks: Sequence[str], like_threshold: float) -> dict[str, np.ndarray]:
    """What is told of every interaction, as `MultiTaskModel` reads it."""
    labels: dict[str, np.ndarray] = {}
    if data.scenarios is not None:
        labels["scenario"] = data.scenario_indices
    if "rating" in tasks:
        labels["rating"] = data.ratings
    if "like" in tasks:
        labels["like"] = data.likes(like_threshold)
    return labels
