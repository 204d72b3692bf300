"""Warm-up requests: written with an export, replayed before a version becomes available."""

import shutil

import pytest
import tensorflow as tf
from small_data import ITEMS, small_data
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.target import CPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.models import Models
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay, replay_logs
from tfllmrec_client.status import RequestError


@pytest.fixture(scope="module")
def exported(shared_fits, tmp_path_factory):
    return export(shared_fits("popularity"), tmp_path_factory.mktemp("models") / "films", name="电影")


@pytest.fixture(scope="module")
def records(exported):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(exported / WARMUP_FILE))]


@pytest.fixture(scope="module")
def signatures(exported):
    """Return the signatures without TensorFlow's internal ones."""
    definitions = ServedModel(exported).signature_defs
    return {name: definition for name, definition in definitions.items() if not name.startswith("__")}


@pytest.fixture
def version(exported, tmp_path):
    """Return the folder of version 2 of a model with a version 1; its warm-up requests may be overwritten."""
    for name in "12":
        shutil.copytree(exported, tmp_path / "films" / name)
    return tmp_path / "films" / "2"


def write(version, records):
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record)


def changed(record, **fields):
    """Return a record with other inputs, outputs or another signature."""
    log = PredictionLog.FromString(record)
    request = log.predict_log.request
    request.model_spec.signature_name = fields.get("signature", request.model_spec.signature_name)
    for name, tensor in fields.get("inputs", {}).items():
        request.inputs[name].CopyFrom(tensor)
    request.output_filter.extend(fields.get("outputs", []))
    return log.SerializeToString()


def load_error(version):
    """Return the error of version 2, which must fail to load."""
    models = Models(one_model("films", version.parent))
    with pytest.raises(RequestError) as error:
        models.find(ModelSpec(name="films", version={"value": 2}))
    assert error.value.code.name == "NOT_FOUND"
    loaded = models.statuses(ModelSpec(name="films"))[2]
    assert (loaded.model, loaded.warmup_count) == (None, 0)
    return loaded.error


def test_the_file_has_the_path_of_tf_serving(exported):
    assert (exported / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_every_signature_has_a_request_per_batch_size(records, signatures):
    requests = [PredictionLog.FromString(record).predict_log.request for record in records]
    assert len(requests) <= 1000
    assert sorted((request.model_spec.signature_name, rows_of(request)) for request in requests) == sorted(
        (name, rows) for name in signatures for rows in CPU.batch_sizes
    )
    for request in requests:
        assert request.model_spec.name == "电影"
        definition = signatures[request.model_spec.signature_name]
        assert request.inputs.keys() == definition.inputs.keys()
        for name, tensor in request.inputs.items():
            shape = [dim.size for dim in definition.inputs[name].tensor_shape.dim]
            sizes = tf.make_ndarray(tensor).shape
            assert tensor.dtype == definition.inputs[name].dtype
            assert len(sizes) == len(shape)
            assert all(size > 0 and expected in (-1, size) for size, expected in zip(sizes, shape, strict=True))


def rows_of(request):
    (rows,) = {tensor.tensor_shape.dim[0].size for tensor in request.inputs.values()}
    return rows


def test_requests_have_known_ids(records):
    users = set(small_data().user_vocabulary.tokens[1:])
    texts = {"user_id": users} | {name: set(ITEMS) for name in ("history", "exclude_item_ids", "candidate_item_ids")}
    seen = set()
    for record in records:
        for name, tensor in PredictionLog.FromString(record).predict_log.request.inputs.items():
            if tensor.dtype == tf.string:
                seen.add(name)
                assert {value.decode() for value in tf.make_ndarray(tensor).flat} <= texts[name]
    assert seen == set(texts)


def test_replay_returns_the_number_of_requests(exported, records, signatures, version):
    assert replay(ServedModel(exported)) == len(records) == len(signatures) * len(CPU.batch_sizes)
    write(version, records[:1] * 3)
    assert replay(ServedModel(version)) == 3
    write(version, [])
    assert replay(ServedModel(version)) == 0
    shutil.rmtree(version / "assets.extra")
    assert replay(ServedModel(version)) == 0


def test_a_version_is_warmed_up_before_it_is_available(exported, records, signatures):
    models = Models(one_model("films", exported.parent))
    assert [(number, version.warmup_count, version.error) for _, number, version in models] == [(1, len(records), "")]
    logs = [PredictionLog.FromString(record).predict_log for record in records]
    assert {log.request.model_spec.signature_name for log in logs} == set(signatures)


def test_an_output_filter_and_the_default_signature_are_replayed(version, records):
    write(version, [changed(records[0], signature="", outputs=["scores"])])
    ((_, outputs),) = replay_logs(ServedModel(version))
    assert list(outputs) == ["scores"]


@pytest.mark.parametrize("count", [1000, 1001])
def test_more_than_1000_requests_are_refused(version, records, count):
    write(version, [changed(records[0], outputs=["scores"])] * count)
    if count == 1000:
        assert replay(ServedModel(version)) == 1000
        return
    with pytest.raises(InputError, match=f"{version / WARMUP_FILE} has 1001 records, .* at most 1000"):
        replay(ServedModel(version))
    assert str(version / WARMUP_FILE) in load_error(version)


DAMAGES = {
    "cut": lambda data: data[:-3],
    "text": lambda data: b"not a TFRecord" * 3,
    "a bit": lambda data: bytes([*data[:40], data[40] ^ 1, *data[41:]]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(version, damage):
    path = version / WARMUP_FILE
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(InputError, match=f"{path} is not a TFRecord file of PredictionLog messages"):
        replay(ServedModel(version))
    assert str(path) in load_error(version)


@pytest.mark.parametrize("record", [b"\xff\xff\xff", b"not a message"])
def test_records_that_are_not_logs_are_refused(version, records, record):
    path = version / WARMUP_FILE
    write(version, [records[0], record])
    with pytest.raises(InputError, match=f"{path} is not a TFRecord file of PredictionLog messages"):
        replay(ServedModel(version))
    assert str(path) in load_error(version)


FAILING = {
    "unknown signature": {"signature": "no_such"},
    "unknown output": {"outputs": ["no_such"]},
    "unknown input": {"inputs": {"more": tf.make_tensor_proto([1])}},
    "wrong dtype": {"inputs": {"user_id": tf.make_tensor_proto([1])}},
    "wrong rows": {"inputs": {"user_id": tf.make_tensor_proto([b"a"] * 5)}},
    "unsupported dtype": {"inputs": {"user_id": tf.make_tensor_proto([1j])}},
}


@pytest.mark.parametrize("failing", FAILING)
def test_a_failing_request_fails_the_version(version, records, failing):
    valid = next(record for record in records if b"user_id" in record)
    write(version, [valid, changed(valid, **FAILING[failing])])
    assert str(version / WARMUP_FILE) in load_error(version)


def test_a_failed_warm_up_does_not_affect_another_version(version, records):
    write(version, [records[0][:-1]])
    config = one_model("films", version.parent)[0]
    config.model_version_policy.all.SetInParent()
    models = Models([config])
    assert [(number, version.warmup_count) for _, number, version in models] == [(1, len(records)), (2, 0)]
    assert models.find(ModelSpec(name="films"))[0] == 1
