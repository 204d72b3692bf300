"""Options of the multi-task family, and the rules that choose them."""

import numpy as np
import pandas as pd
import pytest

from tfllmrec import MultiTask
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.next_item.config import NextItemConfig


@pytest.mark.parametrize(("scenarios", "factor"), [([""], 1), (["a"], 1), (["a", "b"], 2), ([*"abcdef"], 4)])
def test_batch_size_grows_with_scenarios(shop: Dataset, scenarios: list[str], factor: int) -> None:
    data = Dataset.from_frames(shop.interactions.assign(scenario=np.resize(scenarios, len(shop.interactions))))
    batch_size = MultiTaskConfig.for_data(data, {}).batch_size
    assert batch_size == factor * NextItemConfig.for_data(data, {}).batch_size
    assert MultiTaskConfig.for_data(data, {"batch_size": 24}).batch_size == 24


def test_other_options_are_those_of_next_item(shop: Dataset) -> None:
    options, expected = (config.for_data(shop, {}).to_dict() for config in (MultiTaskConfig, NextItemConfig))
    shared = options.keys() & expected.keys() - {"batch_size"}
    assert {name: options[name] for name in shared} == {name: expected[name] for name in shared}


def test_tasks_are_those_with_labels(shop: Dataset) -> None:
    interactions, items = shop.interactions[["user_id", "item_id", "timestamp"]], shop.items[["item_id", "title"]]
    assert MultiTaskConfig.for_data(Dataset.from_frames(interactions, items), {}).tasks == ("next_item",)
    blank = Dataset.from_frames(interactions, items.assign(categories=""))
    assert MultiTaskConfig.for_data(blank, {}).tasks == ("next_item",)
    for values in ({"event": ""}, {"rating": np.nan}):
        unlabelled = Dataset.from_frames(interactions.assign(**values), items)
        assert MultiTaskConfig.for_data(unlabelled, {}).tasks == ("next_item",)
    rare = Dataset.from_frames(interactions, items.assign(categories=[f"own {number}" for number in range(len(items))]))
    assert MultiTaskConfig.for_data(rare, {}).tasks == ("next_item",)
    events = Dataset.from_frames(interactions.assign(event="view"), items)
    assert MultiTaskConfig.for_data(events, {}).tasks == ("next_item", "like")
    assert MultiTaskConfig.for_data(shop, {}).tasks == ("next_item", "rating", "interests")
    assert MultiTaskConfig.for_data(shop, {"tasks": "rating,next_item"}).tasks == ("next_item", "rating")


def test_sources_name_the_rules(shop: Dataset) -> None:
    sources = MultiTaskConfig.sources(shop, {"dim": 8})
    assert sources["tasks"] == "data: labels in rating, categories"
    assert sources["batch_size"] == "data: 2 scenarios"
    assert (sources["dim"], sources["sharing"]) == ("caller", "default")


@pytest.mark.parametrize("tasks", ["", "clicks", "rating,rating"])
def test_unknown_and_repeated_tasks_are_refused(tasks: str) -> None:
    with pytest.raises(
        InputError, match="give one or more of next_item, retrieval, like, rating, interests, each once"
    ):
        MultiTask(tasks=tasks)


def test_interests_alone_are_refused() -> None:
    with pytest.raises(InputError, match="interests do not order items; add another task"):
        MultiTask(tasks="interests")


def test_partly_missing_scenarios_are_refused(shop: Dataset) -> None:
    scenarios = shop.interactions["scenario"].where(shop.interactions.index > 1, "")
    data = Dataset.from_frames(shop.interactions.assign(scenario=scenarios))
    with pytest.raises(InputError, match="2 values of column scenario are empty; fill in all of them"):
        MultiTask(tasks="next_item").fit(data, verbose=0)


def test_backbone_without_interests_is_refused(shop: Dataset) -> None:
    texts = Dataset.from_frames(pd.DataFrame(shop.interactions.assign(text="good")))
    with pytest.raises(InputError, match="backbone reads texts for interests; add that task, or leave backbone out"):
        MultiTask(tasks="next_item", backbone="small").fit(texts, verbose=0)
