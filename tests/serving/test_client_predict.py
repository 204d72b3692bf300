"""`predict` of both clients: any signature by name."""

import grpc
import numpy as np
import pytest
from small_data import ITEMS

from tfllmrec_client import InputError, RequestError
from tfllmrec_client.inputs import input_arrays


@pytest.fixture
def client(connect):
    return connect()


def item_ids(outputs):
    return [[item for item in row if item] for row in outputs["item_ids"].tolist()]


def test_vectors_equal_the_models(client, models):
    recommender = models.recommenders["films", 2]
    vectors = client.predict("embed_items", {"item_ids": ["电影一", "unheard of"]})["embeddings"]
    (index,) = recommender.fitted_data.items.lookup(["电影一"])
    np.testing.assert_allclose(vectors, [recommender.index.vectors.numpy()[index], np.zeros(8)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("convert", [list, lambda values: np.array(values, np.int32)], ids=["lists", "arrays"])
def test_indices_equal_those_in_process(client, models, convert):
    inputs = {"user": convert([1]), "history": convert([[3, 5, 0, 0]]), "exclude": convert([[2]])}
    outputs = client.predict("retrieve_ids", inputs)
    arrays = {name: np.array(values, np.int32) for name, values in inputs.items()}
    expected = models.in_process["films", 2].run("retrieve_ids", arrays)
    assert outputs.keys() == expected.keys()
    assert outputs["items"].dtype == np.int32
    assert outputs["items"].tolist() == expected["items"].tolist()
    np.testing.assert_allclose(outputs["scores"], expected["scores"], rtol=1e-5, atol=1e-6)


def test_strings_are_decoded(client, models):
    inputs = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[b"item2"]]}
    titles = client.predict("retrieve", inputs)["titles"]
    expected = models.recommended(["用户3"], [["item1"]], exclude=[["item2"]])[0]
    assert titles.dtype == object
    assert [title for title in titles[0] if title] == [title for _, title, _ in expected]


def test_rows_of_different_lengths_are_padded(client, models):
    users, histories, exclude = ["用户3", "", ""], [["item1", "电影一"], ["item2"], []], [[], [], []]
    outputs = client.predict("retrieve", {"user_id": users, "history": histories, "exclude_item_ids": exclude})
    expected = models.recommended(users, histories, exclude=exclude)
    assert item_ids(outputs) == [[item for item, *_ in row] for row in expected]


@pytest.mark.parametrize("dtype", [object, str, bytes])
def test_arrays_of_strings_are_sent(client, dtype):
    inputs = {"item_id": np.array(["item1", "item2"], dtype), "exclude_item_ids": np.array([["item3"]] * 2, dtype)}
    similar = client.similar_items(["item1", "item2"], exclude=[["item3"]] * 2)
    assert item_ids(client.predict("similar_items", inputs)) == [[item.item_id for item in row] for row in similar]


def test_no_rows_have_no_outputs(client):
    assert client.predict("embed_items", {"item_ids": []})["embeddings"].shape == (0, 8)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", np.array("a", object)),
        (["a\0", "é"], np.array(["a\0", "é"], object)),
        ([], np.array([], object)),
        ([[], []], np.array([[""], [""]], object)),
        ([["a"], []], np.array([["", "a"], ["", ""]], object)),
        ([["a"], ("b", b"c\0")], np.array([["", "a", ""], ["", "b", b"c\0"]], object)),
        ([["a"], ["b"]], np.array([["a"], ["b"]], object)),
        ([np.array(["a"]), np.array(["b", "c"])], np.array([["", "a", ""], ["", "b", "c"]], object)),
        (3, np.array(3, np.int32)),
        ([[1, -(2**31)]], np.array([[1, -(2**31)]], np.int32)),
        ([1.5, float("inf")], np.array([1.5, np.inf], np.float32)),
        ([True, False], np.array([True, False])),
        (np.array([2**40]), np.array([2**40])),
        (np.float64(1e300), np.array(1e300)),
    ],
)
def test_inputs_become_arrays(value, expected):
    array = input_arrays({"x": value})["x"]
    assert (array.dtype, array.shape, array.tolist()) == (expected.dtype, expected.shape, expected.tolist())


RAGGED = "predict: input x has rows of different lengths; only lists of strings are padded"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([[1], [2, 3]], RAGGED),
        ([[["a"], ["b", "c"]]], RAGGED),
        (["a", ["b"]], RAGGED),
        ([[["a"]], [["b"], ["c"]]], RAGGED),
        ([np.zeros((2, 3)), np.zeros((2, 4))], RAGGED),
        (["a", 1], "predict: input x has 1 among strings; give strings, booleans, or numbers of up to 64 bits"),
        ([["a"], ["b", None]], "predict: input x has None among strings; .*"),
        (
            [None],
            "predict: input x has None, which cannot be sent; give strings, booleans, or numbers of up to 64 bits",
        ),
        ({"a": 1}, r"predict: input x has \{'a': 1\}, which cannot be sent; .*"),
        (2**70, "predict: input x has 1180591620717411303424, which cannot be sent; .*"),
        ([2**31], "predict: input x has 2147483648, beyond int32; give an array of a wider dtype"),
        ([1e300], r"predict: input x has 1e\+300, beyond float32; give an array of a wider dtype"),
        (np.array([1j]), "predict: input x is complex128, which cannot be sent; convert it to another dtype"),
        (np.zeros(2, np.float16), "predict: input x is float16, which cannot be sent; convert it to another dtype"),
    ],
)
def test_inputs_that_cannot_be_sent_are_refused(client, value, sentence):
    with pytest.raises(InputError, match=f"^{sentence}$"):
        client.predict("embed_items", {"x": value})


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (["a"], r"predict: inputs must be a mapping of name to value, not \['a'\]"),
        ({1: ["a"]}, "predict: inputs has 1 for a name; names must be strings"),
        ({"item_ids": ["\ud800"]}, r"'\\ud800' is not valid Unicode: it has half of a surrogate pair"),
    ],
)
def test_inputs_that_are_not_a_mapping_of_names_are_refused(client, inputs, sentence):
    with pytest.raises(InputError, match=f"^{sentence}$"):
        client.predict("embed_items", inputs)


@pytest.mark.parametrize("inputs", [{"item_ids": [1]}, {"item_ids": [1.5]}, {"items": ["a"]}, {}])
def test_inputs_that_do_not_fit_the_signature_are_refused(client, inputs):
    with pytest.raises(RequestError) as error:
        client.predict("embed_items", inputs)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(str(error.value).splitlines()) == 1


def test_an_unknown_signature_is_refused(client):
    with pytest.raises(RequestError, match="embed_all") as error:
        client.predict("embed_all", {"item_ids": ITEMS})
    assert error.value.code is grpc.StatusCode.FAILED_PRECONDITION


def test_the_timeout_applies(client):
    with pytest.raises(RequestError, match="1e-06 s") as error:
        client.predict("embed_items", {"item_ids": ["item1"] * 100_000}, timeout=1e-6)
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
