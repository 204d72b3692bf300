"""The gRPC interface with the official stubs: outputs, versions, labels, metadata and status."""

import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from film_requests import INPUTS, VALID
from small_data import EVERYTHING, GREEDY, ITEMS
from stub_client import predict_request
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
)

VERSION_FIELDS = {
    "default": {},
    "version 1": {"version": {"value": 1}},
    "version 2": {"version": {"value": 2}},
    "stable": {"version_label": "stable"},
    "canary": {"version_label": "canary"},
}
VERSIONS = {"default": 2, "version 1": 1, "version 2": 2, "stable": 1, "canary": 2}
UNUSUAL = {
    "emoji": "👩‍🚀🏳️‍🌈",
    "chinese": "用户三",
    "nul": "a\0b",
    "nul at the end of a known id": "用户3\0",
    "combining": unicodedata.normalize("NFD", "é́ệ"),
    "right to left": "‏שלום‮",
    "control characters": "\r\n\t\x1b[0m",
    "100 kB": "长" * 34_000,
    "noncharacter": "\U0010ffff",
    "blank": " ",
}


def in_process(models, version, signature, inputs, model="films"):
    """Return the outputs of a signature in this process. Strings are bytes."""
    served = models.in_process[model, version]
    arrays = {}
    for name, spec in served.signature(signature).inputs.items():
        value = np.asarray(inputs[name], spec.dtype)
        arrays[name] = np.vectorize(_as_bytes, otypes=[object])(value) if spec.dtype.kind == "O" else value
    return served.run(signature, arrays)


def _as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def assert_equal(outputs, expected):
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        if values.dtype.kind == "O":
            assert outputs[name].tolist() == values.tolist(), name
        else:
            assert outputs[name].dtype == values.dtype
            np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


# ---- outputs


@pytest.mark.parametrize("signature", INPUTS)
@pytest.mark.parametrize("version", [1, 2])
def test_outputs_of_every_signature_equal_those_in_process(server, models, signature, version):
    spec, outputs = server.send(
        predict_request(signature, spec={"name": "films", "version": {"value": version}}, **INPUTS[signature])
    )
    assert_equal(outputs, in_process(models, version, signature, INPUTS[signature]))
    assert (spec.name, spec.version.value, spec.signature_name) == ("films", version, signature)


@pytest.mark.parametrize("selector", VERSION_FIELDS)
def test_versions_and_labels_select_the_recommender(server, models, selector):
    version = VERSIONS[selector]
    spec, outputs = server.send(predict_request(spec={"name": "films"} | VERSION_FIELDS[selector], **VALID))
    assert spec.version.value == version
    expected = models.recommended(
        VALID["user_id"], VALID["history"], exclude=VALID["exclude_item_ids"], version=version
    )
    for row, items in enumerate(expected):
        assert [item.decode() for item in outputs["item_ids"][row] if item] == [item for item, _, _ in items]
        assert [title.decode() for title in outputs["titles"][row] if title] == [title for _, title, _ in items]
        np.testing.assert_allclose(outputs["scores"][row, : len(items)], [score for *_, score in items], 1e-5, 1e-6)


def test_the_two_versions_differ(models):
    """A precondition of the tests above."""
    one, two = (in_process(models, version, "retrieve", VALID) for version in (1, 2))
    assert one["item_ids"].tolist() != two["item_ids"].tolist()
    assert not np.allclose(one["scores"], two["scores"], atol=1e-3)


def test_the_default_signature_is_used_without_a_name(server):
    spec, outputs = server.send(predict_request("", **VALID))
    assert spec.signature_name == "serving_default"
    assert_equal(outputs, server.predict("retrieve", **VALID))


@pytest.mark.parametrize("user", ["用户3", "用户5", GREEDY, EVERYTHING, "unknown", ""])
def test_another_model_of_the_server_responds(server, models, user):
    inputs = {"user_id": [user], "history": [[""]], "exclude_item_ids": [["item1"]]}
    outputs = server.predict(spec={"name": "popular"}, **inputs)
    expected = models.recommended([user], exclude=[["item1"]], model="popular", version=1)[0]
    assert [item.decode() for item in outputs["item_ids"][0] if item] == [item for item, *_ in expected]


@pytest.mark.parametrize("names", [["titles"], ["scores", "item_ids"]])
def test_an_output_filter_selects_outputs(server, names):
    filtered, outputs = server.predict(output_filter=names, **VALID), server.predict(**VALID)
    assert_equal(filtered, {name: outputs[name] for name in names})


def test_compact_forms_of_tensors_are_read(server, models):
    """Integers as bytes, as `tf.make_tensor_proto` writes them, and one string for several elements."""
    compact = tf.make_tensor_proto(np.full((3, 4), 5, np.int32))
    assert compact.tensor_content
    numbers = {"user": np.array([1, 0, 2], np.int32), "history": compact, "exclude": np.zeros((3, 0), np.int32)}
    expected = in_process(models, 2, "retrieve_ids", numbers | {"history": np.full((3, 4), 5)})
    assert_equal(server.predict("retrieve_ids", **numbers), expected)

    once = tf.make_tensor_proto(["item1"], shape=[2, 3])
    assert len(once.string_val) == 1
    repeated = [["item1"] * 3] * 2
    assert_equal(
        server.predict(**VALID | {"history": once}), in_process(models, 2, "retrieve", VALID | {"history": repeated})
    )


def test_an_empty_batch_has_empty_outputs(server):
    empty = np.empty((0, 1), object)
    outputs = server.predict(user_id=np.empty(0, object), history=empty, exclude_item_ids=empty)
    assert {name: values.shape for name, values in outputs.items()} == dict.fromkeys(outputs, (0, 10))


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_inputs_without_columns_are_empty_lists(server, models, rows):
    empty = np.empty((rows, 0), object)
    inputs = {"user_id": np.array(["用户3"] * rows, object), "history": empty, "exclude_item_ids": empty}
    assert_equal(server.predict(**inputs), in_process(models, 2, "retrieve", inputs))


@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("known", ["", "用户3"])
def test_unusual_ids_are_unknown_ids(server, unusual, known):
    outputs = server.predict(
        user_id=[known or unusual], history=[["item1", unusual]], exclude_item_ids=[[unusual, "item2"]]
    )
    expected = server.predict(user_id=[known], history=[["item1"]], exclude_item_ids=[["item2"]])
    assert_equal(outputs, expected)


@pytest.mark.parametrize("invalid", [b"\xff\xfe", b"\xed\xa0\x80", b"\x80" * 1000, "用户3".encode()[:-2]])
def test_ids_that_are_not_utf8_are_unknown_ids(server, invalid):
    outputs = server.predict(user_id=[invalid], history=[[invalid, b"item1"]], exclude_item_ids=[[invalid]])
    assert_equal(outputs, server.predict(user_id=[""], history=[["item1"]], exclude_item_ids=[[""]]))


# ---- metadata and status


@pytest.mark.parametrize("version", [1, 2])
def test_metadata_has_the_signatures_of_the_saved_model(server, models, version):
    response = server.metadata("signature_def", name="films", version={"value": version})
    content = (models.folder / "films" / str(version) / "saved_model.pb").read_bytes()
    expected = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata.keys() == {"signature_def"}
    assert response.metadata["signature_def"].Unpack(signatures)
    assert dict(signatures.signature_def) == dict(expected)
    assert (response.model_spec.name, response.model_spec.version.value) == ("films", version)


@pytest.mark.parametrize("selector", VERSION_FIELDS)
def test_metadata_of_versions_and_labels(server, selector):
    response = server.metadata("signature_def", "signature_def", name="films", **VERSION_FIELDS[selector])
    assert response.model_spec.version.value == VERSIONS[selector]


def test_the_status_of_all_versions(server):
    statuses = server.status(name="films").model_version_status
    assert [(each.version, each.state, each.status.error_code, each.status.error_message) for each in statuses] == [
        (2, get_model_status_pb2.ModelVersionStatus.AVAILABLE, 0, ""),
        (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE, 0, ""),
    ]


@pytest.mark.parametrize("selector", ["version 1", "version 2", "stable", "canary"])
def test_the_status_of_one_version(server, selector):
    statuses = server.status(name="films", **VERSION_FIELDS[selector]).model_version_status
    assert [each.version for each in statuses] == [VERSIONS[selector]]


def test_the_status_of_a_model_that_does_not_load(server):
    (broken,) = server.status(name="broken").model_version_status
    assert (broken.version, broken.state) == (1, get_model_status_pb2.ModelVersionStatus.END)
    assert broken.status.error_code != 0
    assert "saved_model.pb" in broken.status.error_message
    assert len(broken.status.error_message.splitlines()) == 1


def test_the_items_of_the_tests_are_known(models):
    """A precondition of the tests above."""
    assert set(ITEMS) <= set(models.recommenders["films", 2].fitted_data.items.tokens)
