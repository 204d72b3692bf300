"""Exports of cascades where `top_k` does not exceed the number of retrieved candidates."""

import pytest
from assertions import assert_matches_table
from small_data import GREEDY

from tfllmrec import Cascade
from tfllmrec.export import export

TOP_K = 5
REQUEST = {
    "user_id": [GREEDY, "用户3", "", "用户3"],
    "history": [[""], ["item1"], ["a b|c"], [""]],
    "exclude_item_ids": [["item7"], [""], [""], ["item3"]],
}


@pytest.mark.parametrize(
    "ranked",
    [pytest.param(TOP_K, marks=pytest.mark.slow, id="all ranked"), pytest.param(2, id="only the first ranked")],
)
def test_recommendations_match_python(runtime, cascade, data, tmp_path, ranked):
    fitted = cascade.recommender
    options = {"candidates": TOP_K, "ranked": ranked, "history_length": 4, "weights": fitted.weights.tolist()}
    recommender = Cascade(retrievers=fitted.retrievers, ranker=fitted.ranker or "", **options).fit(data)
    outputs = runtime.run(export(recommender, tmp_path / "films", top_k=TOP_K), "recommend", **REQUEST)
    users, histories, exclude = REQUEST.values()
    table = recommender.recommend(users, histories, k=TOP_K, exclude=exclude)
    assert table.groupby("row").size().tolist() == [1, 5, 5, 5]
    assert_matches_table(outputs, table, users, TOP_K, rtol=1e-4)
