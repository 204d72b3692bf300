"""Data sets with little or nothing to learn from: right lists, or one sentence."""

import numpy as np
import pandas as pd
import pytest
from shared_fits import SharedFits

from tfllmrec import Dataset, InputError
from tfllmrec.models.registry import FAMILIES

WITH_PAIRS = ["two_tower", "next_item", "multi_task"]
"""Families that learn from an interaction after an earlier one."""
WITH_LISTS = ["bert_ranker", "cross_encoder", "cascade"]
"""Families that learn from lists of the last interactions."""
OTHERS = [family for family in FAMILIES if family not in (*WITH_PAIRS, *WITH_LISTS)]


def data_of(*rows: tuple[str, str]) -> Dataset:
    table = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return Dataset.from_frames(table.assign(timestamp=np.arange(len(rows))))


ONE_EACH = data_of(("u", "a"), ("v", "b"), ("w", "a"), ("x", "c"))
ONE_ITEM = data_of(("u", "a"), ("v", "a"))
ONE_ROW = data_of(("u", "a"))
ONE_USER = data_of(("u", "a"), ("u", "b"), ("u", "c"), ("u", "d"))


@pytest.mark.parametrize("family", OTHERS)
def test_baselines_return_popular_items(family: str, shared_fits: SharedFits) -> None:
    for data, items in ((ONE_EACH, ["a", "b", "c"]), (ONE_ITEM, ["a"]), (ONE_ROW, ["a"])):
        table = shared_fits.make(family).fit(data, verbose=0).recommend(histories=[[]])
        assert sorted(table["item_id"]) == items
        assert table["item_id"][0] == "a"


@pytest.mark.parametrize("data", [ONE_EACH, ONE_ITEM, ONE_ROW])
@pytest.mark.parametrize("family", WITH_PAIRS)
def test_nothing_to_learn_from_is_named(family: str, data: Dataset, shared_fits: SharedFits) -> None:
    with pytest.raises(InputError, match=r"^fit: there is nothing to learn from, because no user has"):
        shared_fits.make(family).fit(data, verbose=0)


@pytest.mark.parametrize("family", WITH_LISTS)
def test_rankers_name_the_interactions_that_they_need(family: str, shared_fits: SharedFits) -> None:
    for data in (ONE_EACH, ONE_ITEM, ONE_ROW):
        with pytest.raises(InputError, match=r"^leave-last-out: no user has the two interactions that it needs$"):
            shared_fits.make(family).fit(data, verbose=0)


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow if name in WITH_LISTS else ()) for name in FAMILIES]
)
def test_a_single_user_is_enough(family: str, shared_fits: SharedFits) -> None:
    fitted = shared_fits.make(family).fit(ONE_USER, verbose=0)
    table = fitted.recommend(histories=[["a"], []], k=9)
    assert table.loc[table["row"] == 1, "item_id"].nunique() == 4
    assert np.isfinite(table["score"]).all()


def test_a_cascade_of_users_who_have_seen_all_items_recommends(shared_fits: SharedFits) -> None:
    cascade = shared_fits.make("cascade", retrievers="markov_chain,popularity", ranker="")
    table = cascade.fit(ONE_USER, verbose=0).recommend(histories=[["a"]], k=3)
    assert sorted(table["item_id"]) == ["b", "c", "d"]
