"""The gRPC interface, asked with the official stubs."""

import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from film_requests import INPUTS, VALID
from made_data import GREEDY, ITEMS
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
)

MADE_OF = {
    "default": {},
    "version 1": {"version": {"value": 1}},
    "version 2": {"version": {"value": 2}},
    "stable": {"version_label": "stable"},
    "canary": {"version_label": "canary"},
}
VERSIONS = {"default": 2, "version 1": 1, "version 2": 2, "stable": 1, "canary": 2}
STRANGE = {
    "emoji": "👩‍🚀🏳️‍🌈",
    "chinese": "用户三",
    "nul": "a\0b",
    "nul at the end of a known id": "用户3\0",
    "combining": unicodedata.normalize("NFD", "é́ệ"),
    "right to left": "‏שלום‮",
    "control characters": "\r\n\t\x1b[0m",
    "100 kB": "长" * 34_000,
    "no character": "\U0010ffff",
    "blank": " ",
}


def in_process(models, version, signature, inputs, model="films"):
    """The same signature's arrays from this process, strings as bytes."""
    served = models.in_process[model, version]
    arrays = {}
    for name, spec in served.signature(signature).inputs.items():
        value = np.asarray(inputs[name], spec.dtype)
        arrays[name] = np.vectorize(_as_bytes, otypes=[object])(value) if spec.dtype.kind == "O" else value
    return served.run(signature, arrays)


def _as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if values.dtype.kind == "O":
            assert found[name].tolist() == values.tolist(), name
        else:
            assert found[name].dtype == values.dtype
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


# ---- answers


@pytest.mark.parametrize("signature", INPUTS)
@pytest.mark.parametrize("version", [1, 2])
def test_every_signature_answers_as_in_process(server, models, request_for, signature, version):
    spec, found = server.send(
        request_for(signature, spec={"name": "films", "version": {"value": version}}, **INPUTS[signature])
    )
    assert_equal(found, in_process(models, version, signature, INPUTS[signature]))
    assert (spec.name, spec.version.value, spec.signature_name) == ("films", version, signature)


@pytest.mark.parametrize("asked", MADE_OF)
def test_versions_and_labels_choose_the_recommender(server, models, request_for, asked):
    version = VERSIONS[asked]
    spec, found = server.send(request_for(spec={"name": "films"} | MADE_OF[asked], **VALID))
    assert spec.version.value == version
    expected = models.recommended(
        VALID["user_id"], VALID["history"], exclude=VALID["exclude_item_ids"], version=version
    )
    for row, places in enumerate(expected):
        assert [item.decode() for item in found["item_ids"][row] if item] == [item for item, _, _ in places]
        assert [title.decode() for title in found["titles"][row] if title] == [title for _, title, _ in places]
        np.testing.assert_allclose(found["scores"][row, : len(places)], [score for *_, score in places], 1e-5, 1e-6)


def test_the_two_versions_do_differ(models):
    """Else the tests above would say nothing."""
    one, two = (in_process(models, version, "retrieve", VALID) for version in (1, 2))
    assert one["item_ids"].tolist() != two["item_ids"].tolist()
    assert not np.allclose(one["scores"], two["scores"], atol=1e-3)


def test_no_signature_name_is_the_default(server, request_for):
    spec, found = server.send(request_for("", **VALID))
    assert spec.signature_name == "serving_default"
    assert_equal(found, server.predict("retrieve", **VALID))


@pytest.mark.parametrize("user", ["用户3", "用户5", GREEDY, "everything", "nobody", ""])
def test_another_model_of_the_same_server(server, models, user):
    inputs = {"user_id": [user], "history": [[""]], "exclude_item_ids": [["item1"]]}
    found = server.predict(spec={"name": "popular"}, **inputs)
    expected = models.recommended([user], exclude=[["item1"]], model="popular", version=1)[0]
    assert [item.decode() for item in found["item_ids"][0] if item] == [item for item, *_ in expected]


@pytest.mark.parametrize("wanted", [["titles"], ["scores", "item_ids"], ["item_ids", "item_ids"]])
def test_only_the_outputs_asked_for_come(server, wanted):
    found, everything = server.predict(output_filter=wanted, **VALID), server.predict(**VALID)
    assert_equal(found, {name: everything[name] for name in wanted})


def test_tensors_in_their_compact_forms(server, models):
    """Integers as bytes, and one string for many places: what `tf.make_tensor_proto` writes, and what is allowed."""
    compact = tf.make_tensor_proto(np.full((3, 4), 5, np.int32))
    assert compact.tensor_content
    numbers = {"user": np.array([1, 0, 2], np.int32), "history": compact, "exclude": np.zeros((3, 0), np.int32)}
    expected = in_process(models, 2, "retrieve_ids", numbers | {"history": np.full((3, 4), 5)})
    assert_equal(server.predict("retrieve_ids", **numbers), expected)

    once = tf.make_tensor_proto(["item1"], shape=[2, 3])
    assert len(once.string_val) == 1
    thrice = [["item1"] * 3] * 2
    assert_equal(
        server.predict(**VALID | {"history": once}), in_process(models, 2, "retrieve", VALID | {"history": thrice})
    )


def test_an_empty_batch(server):
    empty = np.empty((0, 1), object)
    found = server.predict(user_id=np.empty(0, object), history=empty, exclude_item_ids=empty)
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(found, (0, 10))


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_no_columns_at_all(server, models, rows):
    empty = np.empty((rows, 0), object)
    inputs = {"user_id": np.array(["用户3"] * rows, object), "history": empty, "exclude_item_ids": empty}
    assert_equal(server.predict(**inputs), in_process(models, 2, "retrieve", inputs))


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("known", ["", "用户3"])
def test_strange_ids_are_unknown_ids(server, strange, known):
    found = server.predict(
        user_id=[known or strange], history=[["item1", strange]], exclude_item_ids=[[strange, "item2"]]
    )
    expected = server.predict(user_id=[known], history=[["item1"]], exclude_item_ids=[["item2"]])
    assert_equal(found, expected)


@pytest.mark.parametrize("broken", [b"\xff\xfe", b"\xed\xa0\x80", b"\x80" * 1000, "用户3".encode()[:-2]])
def test_ids_that_are_no_text_are_unknown_ids(server, broken):
    found = server.predict(user_id=[broken], history=[[broken, b"item1"]], exclude_item_ids=[[broken]])
    assert_equal(found, server.predict(user_id=[""], history=[["item1"]], exclude_item_ids=[[""]]))


# ---- what is there


@pytest.mark.parametrize("version", [1, 2])
def test_metadata_is_what_the_saved_model_says(server, models, version):
    answer = server.metadata("signature_def", name="films", version={"value": version})
    content = (models.folder / "films" / str(version) / "saved_model.pb").read_bytes()
    expected = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata.keys() == {"signature_def"}
    assert answer.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == dict(expected)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("films", version)


@pytest.mark.parametrize("asked", MADE_OF)
def test_metadata_of_versions_and_labels(server, asked):
    answer = server.metadata("signature_def", "signature_def", name="films", **MADE_OF[asked])
    assert answer.model_spec.version.value == VERSIONS[asked]


def test_the_status_of_all_versions(server):
    found = server.status(name="films").model_version_status
    assert [(one.version, one.state, one.status.error_code, one.status.error_message) for one in found] == [
        (2, get_model_status_pb2.ModelVersionStatus.AVAILABLE, 0, ""),
        (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE, 0, ""),
    ]


@pytest.mark.parametrize("asked", ["version 1", "version 2", "stable", "canary"])
def test_the_status_of_one_version(server, asked):
    found = server.status(name="films", **MADE_OF[asked]).model_version_status
    assert [one.version for one in found] == [VERSIONS[asked]]


def test_the_status_of_a_model_that_does_not_load(server):
    (found,) = server.status(name="broken").model_version_status
    assert (found.version, found.state) == (1, get_model_status_pb2.ModelVersionStatus.END)
    assert found.status.error_code != 0
    assert "saved_model.pb" in found.status.error_message
    assert len(found.status.error_message.splitlines()) == 1


def test_items_are_all_known(models):
    """The ids the tests above take for known."""
    assert set(ITEMS) <= set(models.recommenders["films", 2].fitted_data.items.tokens)
