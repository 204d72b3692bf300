"""`embed_queries` and `embed_items` of both clients."""

import grpc
import numpy as np
import pytest
from small_data import GREEDY, ITEMS

from tfllmrec_client import InputError, ItemEmbeddings, QueryEmbeddings, RequestError

USERS, HISTORIES = ["用户3", "unknown", "", GREEDY], [[], ["item1", "电影一"], ["item2"], []]


@pytest.fixture(params=[("films", 2), ("next", 1)], ids=["films", "next"])
def model(request):
    return request.param


@pytest.fixture
def client(connect, model):
    return connect(model[0])


def test_item_vectors_equal_the_models(client, models, model):
    recommender = models.recommenders[model]
    items = [*ITEMS, "unheard of"]
    embeddings = client.embed_items(items)
    assert isinstance(embeddings, ItemEmbeddings)
    assert embeddings.item_ids == items
    indices = recommender.fitted_data.items.lookup(items)
    vectors = recommender.index.vectors.numpy()
    np.testing.assert_allclose(embeddings.embeddings, np.where(indices[:, None] > 0, vectors[indices], 0), 1e-5, 1e-6)
    assert embeddings.embeddings.dtype == np.float32
    if recommender.index.biased:
        np.testing.assert_allclose(embeddings.biases, recommender.index.biases.numpy()[indices], 1e-5, 1e-6)
    else:
        assert embeddings.biases is None


def test_products_of_query_and_item_vectors_are_the_scores(client):
    queries = client.embed_queries(USERS, HISTORIES)
    assert isinstance(queries, QueryEmbeddings)
    assert queries.user_ids == USERS
    items = client.embed_items(ITEMS)
    scores = queries.embeddings @ items.embeddings.T + (0 if items.biases is None else items.biases)
    for row, results in enumerate(client.recommend(USERS, HISTORIES)):
        assert results
        expected = [scores[row, ITEMS.index(item.item_id)] for item in results]
        np.testing.assert_allclose([item.score for item in results], expected, rtol=1e-4, atol=1e-5)


def test_users_or_histories_can_be_omitted(client):
    users = client.embed_queries(["用户3", "用户4"])
    assert users.user_ids == ["用户3", "用户4"]
    histories = client.embed_queries(histories=[["item1"], ["item2", "item3"]])
    assert histories.user_ids == ["", ""]
    both = client.embed_queries(["", "用户4"], [["item1"], []])
    np.testing.assert_allclose(both.embeddings[0], histories.embeddings[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both.embeddings[1], users.embeddings[1], rtol=1e-5, atol=1e-6)


def test_no_rows_have_no_vectors(client):
    assert client.embed_queries([]).embeddings.shape == (0, 8)
    assert client.embed_items([]).embeddings.shape == (0, 8)


def test_invalid_arguments_are_refused(client):
    with pytest.raises(InputError, match=r"^embed_queries: give users, histories, or both$"):
        client.embed_queries()
    with pytest.raises(InputError, match=r"^embed_queries: the rows do not match \(1 users, 2 histories\)$"):
        client.embed_queries(["a"], [[], []])
    with pytest.raises(InputError, match=r"^embed_items: items must be a list with one entry per row, not 'item1'$"):
        client.embed_items("item1")
    with pytest.raises(InputError, match=r"^embed_items: items has 1, which is not a string"):
        client.embed_items([1])


def test_a_model_without_vectors_refuses(connect):
    client = connect("popular")
    for call in (lambda: client.embed_items(["item1"]), lambda: client.embed_queries(["用户3"])):
        with pytest.raises(RequestError, match="embed_") as error:
            call()
        assert error.value.code is grpc.StatusCode.FAILED_PRECONDITION
