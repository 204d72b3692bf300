"""`rank` and `rank_texts` of both clients, for a served cascade."""

import numpy as np
import pytest
from small_data import GREEDY, ITEMS

from tfllmrec_client import InputError, RequestError

LOWEST = float(np.finfo(np.float32).min)
HISTORIES = [["🎬🍿", "a b|c"], ["item1"], []]
CANDIDATES = [["item3", "电影一", "unheard of", ""], ["item5"], ["item7", "item2"]]
TEXTS = [["Title of item3", "花样年华", ""], ["[SEP]"], []]


@pytest.fixture(scope="module")
def cascade(shared_fits, serve_model):
    return serve_model("cascade", shared_fits("cascade"), top_k=3)


@pytest.fixture
def client(connect, cascade):
    return connect("cascade")


def indices(cascade, rows, width):
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    return cascade.fitted_data.items.lookup(np.concatenate(padded)).reshape(len(rows), width)


def test_scores_of_candidates_equal_those_in_process(client, cascade):
    results = client.rank(CANDIDATES, histories=HISTORIES)
    assert [len(scores) for scores in results] == [4, 1, 2]
    assert results[0][2:] == [LOWEST, LOWEST]
    users = np.zeros(3, np.int32)
    histories, candidates = indices(cascade, HISTORIES, 4), indices(cascade, CANDIDATES, 4)
    expected = cascade.ranker.predictor.score_candidates(users, histories, candidates)["scores"].numpy()
    for scores, expected_scores, count in zip(results, expected, [2, 1, 2], strict=True):
        np.testing.assert_allclose(scores[:count], expected_scores[:count], rtol=1e-4, atol=1e-5)


def test_columns_rank_the_candidates_of_a_row(client):
    results = client.rank(CANDIDATES, ["u", "v", ""], HISTORIES)
    columns = results.columns()
    assert list(columns) == ["row", "user_id", "rank", "item_id", "score"]
    assert columns["row"] == [0] * 4 + [1] + [2] * 2
    assert columns["user_id"] == ["u"] * 4 + ["v"] + [""] * 2
    assert columns["item_id"] == [item for row in CANDIDATES for item in row]
    assert columns["score"] == [score for scores in results for score in scores]
    assert columns["rank"][:4] == [*((1, 2) if results[0][0] >= results[0][1] else (2, 1)), 3, 4]


def test_a_known_user_is_ranked_by_the_stored_history(client):
    (known,), (unknown,) = (client.rank([ITEMS], users=[user]) for user in (GREEDY, "unknown"))
    (by_history,) = client.rank([ITEMS], histories=[ITEMS[:-2]])
    assert known == pytest.approx(by_history)
    assert known != pytest.approx(unknown)


def test_scores_of_texts_equal_those_in_process(client, cascade):
    histories = [["Title of item1", "a search for 电影"], ["Title of item2"], []]
    results, expected = client.rank_texts(TEXTS, histories), cascade.ranker.score_texts(histories, TEXTS)
    assert [len(scores) for scores in results] == [3, 1, 0]
    assert results[0][2] == LOWEST
    for scores, expected_scores in zip(results, expected, strict=True):
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-4, atol=1e-5)
    columns = results.columns()
    assert list(columns) == ["row", "rank", "text", "score"]
    assert (columns["row"], columns["text"]) == ([0, 0, 0, 1], [text for row in TEXTS for text in row])


def test_recommendations_equal_those_in_process(client, cascade):
    (items,) = client.recommend(histories=[["item1", "item2"]], k=3)
    table = cascade.recommend(histories=[["item1", "item2"]], k=3)
    assert [item.item_id for item in items] == table["item_id"].tolist()
    np.testing.assert_allclose([item.score for item in items], table["score"], rtol=1e-4, atol=1e-5)
    inputs = {"user_id": [""], "history": [["", "item1", "item2"]], "exclude_item_ids": [[""]]}
    assert client.predict("recommend", inputs)["item_ids"][0].tolist() == table["item_id"].tolist()


def test_rows_of_different_lengths_are_padded_by_predict(client):
    inputs = {"user_id": [""] * 3, "history": HISTORIES, "candidate_item_ids": CANDIDATES}
    scores = client.predict("rank", inputs)["scores"]
    assert scores.shape == (3, 5)
    assert scores[:, 0].tolist() == [LOWEST] * 3
    assert [row[: len(items)] for row, items in zip(scores[:, 1:].tolist(), CANDIDATES, strict=True)] == client.rank(
        CANDIDATES, histories=HISTORIES
    )


def test_invalid_arguments_are_refused(client, connect):
    with pytest.raises(InputError, match=r"^rank: give users, histories, or both"):
        client.rank([["item1"]])
    with pytest.raises(InputError, match=r"^rank: the rows do not match \(1 users, 2 candidates\)"):
        client.rank([["item1"], ["item2"]], users=["u"])
    with pytest.raises(InputError, match=r"^rank: candidates must have a list of strings per row"):
        client.rank(["item1"], users=["u"])
    with pytest.raises(InputError, match=r"^rank_texts: the rows do not match \(2 histories, 1 candidates\)"):
        client.rank_texts([["a text"]], [["a text"], []])
    with pytest.raises(RequestError, match='Serving signature key "rank_texts" not found'):
        connect("films").rank_texts([["a text"]], [["a text"]])
