"""A cascade that is asked for no more items than a retriever finds answers from its candidates alone."""

import pytest
from answers import assert_are_of
from small_data import GREEDY

from tfllmrec import Cascade
from tfllmrec.export import export

TOP_K = 5
QUESTION = {
    "user_id": [GREEDY, "用户3", "", "用户3"],
    "history": [[""], ["item1"], ["a b|c"], [""]],
    "exclude_item_ids": [["item7"], [""], [""], ["item3"]],
}


@pytest.mark.parametrize("ranked", [TOP_K, 2], ids=["all ranked", "some below them"])
def test_as_in_python(runtime, cascade, data, tmp_path, ranked):
    parts = cascade.recommender
    options = {"candidates": TOP_K, "ranked": ranked, "history_length": 4, "weights": parts.weights.tolist()}
    made = Cascade(retrievers=parts.retrievers, ranker=parts.ranker or "", **options).fit(data)
    found = runtime.run(export(made, tmp_path / "films", top_k=TOP_K), "recommend", **QUESTION)
    users, histories, exclude = QUESTION.values()
    table = made.recommend(users, histories, k=TOP_K, exclude=exclude)
    assert table.groupby("row").size().tolist() == [1, 5, 5, 5]
    assert_are_of(table, found, users, TOP_K, rtol=1e-4)
