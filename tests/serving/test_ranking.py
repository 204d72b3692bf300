"""`Client.rank` and `Client.rank_texts` of a cascade that is served, and what the cascade says in this process."""

import numpy as np
import pytest
from made_data import GREEDY, ITEMS, made_data

from tfllmrec import Cascade
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess
from tfllmrec_client import InputError, RequestError

LOWEST = float(np.finfo(np.float32).min)
HISTORIES = [["🎬🍿", "a b|c"], ["item1"], []]
CANDIDATES = [["item3", "电影一", "unheard of", ""], ["item5"], ["item7", "item2"]]
TEXTS = [["Title of item3", "花样年华", ""], ["[SEP]"], []]


@pytest.fixture(scope="module")
def cascade(quick_ranking):
    return Cascade(history_length=4, **quick_ranking["cascade"]).fit(made_data(), verbose=0)


@pytest.fixture(scope="module")
def address(cascade, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "films"
    export(cascade, folder, top_k=3)
    with ServerProcess(folder) as server:
        yield server.grpc_address


@pytest.fixture
def client(client_class, address):
    with client_class(address, "films") as client:
        yield client


def indices(cascade, rows, width):
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    return cascade.fitted_data.items.lookup(np.concatenate(padded)).reshape(len(rows), width)


def test_candidates_are_scored_as_in_this_process(client, cascade):
    found = client.rank(CANDIDATES, histories=HISTORIES)
    assert [len(row) for row in found] == [4, 1, 2]
    assert found[0][2:] == [LOWEST, LOWEST]
    nobody = np.zeros(3, np.int32)
    asked = (nobody, indices(cascade, HISTORIES, 4), indices(cascade, CANDIDATES, 4))
    expected = cascade.ranker.predictor.score_candidates(*asked)["scores"].numpy()
    for row, scores, count in zip(found, expected, [2, 1, 2], strict=True):
        np.testing.assert_allclose(row[:count], scores[:count], rtol=1e-4, atol=1e-5)


def test_known_users_are_ranked_by_what_is_stored(client):
    (of_user,), (of_nobody,) = (client.rank([ITEMS], users=[user]) for user in (GREEDY, "nobody"))
    (after_the_same,) = client.rank([ITEMS], histories=[ITEMS[:-2]])
    assert of_user == pytest.approx(after_the_same)
    assert of_user != pytest.approx(of_nobody)


def test_texts_are_scored_as_in_this_process(client, cascade):
    histories = [["Title of item1", "a search for 电影"], ["Title of item2"], []]
    found, expected = client.rank_texts(TEXTS, histories), cascade.ranker.score_texts(histories, TEXTS)
    assert [len(row) for row in found] == [3, 1, 0]
    assert found[0][2] == LOWEST
    for row, scores in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, scores, rtol=1e-4, atol=1e-5)


def test_the_cascade_recommends(client, cascade):
    (found,) = client.recommend(histories=[["item1", "item2"]], k=3)
    table = cascade.recommend(histories=[["item1", "item2"]], k=3)
    assert [place.item_id for place in found] == table["item_id"].tolist()
    np.testing.assert_allclose([place.score for place in found], table["score"], rtol=1e-4, atol=1e-5)
    asked = {"user_id": [""], "history": [["", "item1", "item2"]], "exclude_item_ids": [[""]]}
    assert client.predict("recommend", asked)["item_ids"][0].tolist() == table["item_id"].tolist()


def test_what_cannot_be_asked(client, connect):
    with pytest.raises(InputError, match="rank: give users, histories, or both"):
        client.rank([["item1"]])
    with pytest.raises(InputError, match=r"rank: the rows do not match \(1 users, 2 candidates\)"):
        client.rank([["item1"], ["item2"]], users=["u"])
    with pytest.raises(InputError, match="rank: candidates must have a list of strings per row"):
        client.rank(["item1"], users=["u"])
    with pytest.raises(RequestError, match="no signature 'rank'"):
        connect("films").rank([["item1"]], users=["u"])
