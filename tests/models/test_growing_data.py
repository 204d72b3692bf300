"""Fitted models and data sets of grown tables: the same indices, or one sentence."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_fits import SharedFits
from small_data import ITEMS, small_data, small_scenarios

from tfllmrec import Cascade, Dataset, Recommender, leave_one_out
from tfllmrec.errors import InputError
from tfllmrec.models.base.trainer import FitContext

NEW = "aa first in sorted order"
NEW_ITEM = pd.DataFrame({"item_id": [NEW], "title": ["Title of item0 and item1"]})
OTHER_ORDER = "are in another order than those of the model; build the data set with id_order=model.id_order"


def grown_tables(data: Dataset, *users: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables with a new item, after the items of given users."""
    rows = pd.DataFrame({"user_id": users, "item_id": NEW, "timestamp": 99})
    return pd.concat([data.interactions, rows]), pd.concat([data.items, NEW_ITEM])


@pytest.fixture(scope="module")
def grown(shared_fits: SharedFits) -> Recommender:
    return shared_fits("two_tower").with_items(NEW_ITEM)


def test_order_of_a_model_is_that_of_its_data_and_is_saved(shared_fits: SharedFits) -> None:
    assert shared_fits("two_tower").id_order == small_data().id_order


def test_order_grows_with_the_items(grown: Recommender, shared_fits: SharedFits) -> None:
    known = shared_fits("two_tower").id_order
    assert known.items.is_prefix_of(grown.id_order.items)
    assert grown.id_order.items.tokens[-1] == NEW
    assert grown.id_order.users == known.users


def test_training_goes_on_with_grown_data_in_the_order_of_the_model(grown: Recommender) -> None:
    data = Dataset.from_frames(*grown_tables(small_data(), "用户1", "用户2"), id_order=grown.id_order)
    model: Any = copy.copy(grown)
    model.fit_more(data, None, FitContext(verbose=0), epochs=1)
    assert model.id_order == data.id_order
    assert model.fitted_data.counts[-1] == 2
    assert NEW in set(model.recommend(histories=[[]], k=20)["item_id"])


def test_training_on_data_in_another_order_is_refused(grown: Recommender) -> None:
    model: Any = grown
    with pytest.raises(InputError, match=r"^fit_more: the items and users of the data must be those of the model"):
        model.fit_more(Dataset.from_frames(*grown_tables(small_data(), "用户1")), None, FitContext(), epochs=1)


def test_targets_of_data_in_another_order_are_refused(shared_fits: SharedFits) -> None:
    split = leave_one_out(Dataset.from_frames(*grown_tables(small_data(), "用户1")))
    for family in ("popularity", "two_tower"):
        with pytest.raises(InputError, match=f"^evaluate: the items of the data {OTHER_ORDER}"):
            shared_fits(family).evaluate(split.test)


def test_new_items_in_the_order_of_the_model_are_named(shared_fits: SharedFits) -> None:
    model = shared_fits("two_tower")
    split = leave_one_out(Dataset.from_frames(*grown_tables(small_data(), "用户1"), id_order=model.id_order))
    with pytest.raises(InputError, match=r"^evaluate: the data has 1 items that the model does not have; add them"):
        model.evaluate(split.test)


def test_grown_targets_are_ranked_as_the_request_of_an_unknown_user(grown: Recommender) -> None:
    tables = grown_tables(small_data(), "a new user")
    tables[0].loc[len(tables[0])] = ["a new user", ITEMS[0], 3]
    tables[0].loc[len(tables[0])] = ["a new user", ITEMS[1], 4]
    data = Dataset.from_frames(*tables, id_order=grown.id_order)
    targets = leave_one_out(data).test
    of_new = np.flatnonzero(targets.users == len(data.user_vocabulary))
    ranked = grown.rank_targets(targets.take(of_new))
    table = grown.recommend(histories=[[ITEMS[0], ITEMS[1]]], k=20)
    assert ranked.ranks.tolist() == table.loc[table["item_id"] == NEW, "rank"].tolist()


def test_earlier_targets_are_ranked_by_a_grown_model(grown: Recommender) -> None:
    targets = leave_one_out(small_data()).test
    assert len(grown.rank_targets(targets).ranks) == len(targets)


def test_validation_targets_of_other_data_are_refused(shared_fits: SharedFits) -> None:
    other = leave_one_out(Dataset.from_frames(*grown_tables(small_data(), "用户1")))
    with pytest.raises(InputError, match=f"^fit: the items of the data {OTHER_ORDER}"):
        shared_fits.make("two_tower").fit(leave_one_out(small_data()).train, other.validation, verbose=0)


def test_tasks_of_other_data_are_not_evaluated(shared_fits: SharedFits) -> None:
    data = small_scenarios()
    table = data.interactions.assign(scenario=data.interactions["scenario"].replace("书", "zz"))
    other = Dataset.from_frames(table, data.items)
    with pytest.raises(InputError, match=f"^evaluate_tasks: the scenarios of the data {OTHER_ORDER}"):
        shared_fits.scenarios().evaluate_tasks(other, leave_one_out(other).test)


def test_parts_fitted_on_other_users_are_refused(shared_fits: SharedFits) -> None:
    data = small_data()
    renamed = data.interactions.assign(user_id=data.interactions["user_id"].replace("用户1", "a"))
    cascade = Cascade(retrievers=[shared_fits("popularity"), "markov_chain"], ranker="")
    with pytest.raises(InputError, match=r"^cascade: popularity was fitted on other ids"):
        cascade.fit(Dataset.from_frames(renamed, data.items))
