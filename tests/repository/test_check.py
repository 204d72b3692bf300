"""A version passes its check as it was exported, and not when what it answers has changed."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from made_data import made_data
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

import tfllmrec
from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import write_checksums
from tfllmrec.export.target import CPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.repository.check import check_version, different
from tfllmrec.serving.session import ServedModel

OPTIONS = {"dim": 8, "hidden_units": 8, "epochs": 1, "history_length": 4}


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def exported(request, tmp_path_factory):
    two_tower = tfllmrec.TwoTower(**OPTIONS).fit(made_data(), verbose=0)
    return export(two_tower, tmp_path_factory.mktemp("models") / "films", precision=request.param)


@pytest.fixture
def rewritten(exported, tmp_path):
    """Makes a version whose recorded answers a function has changed: (signature, outputs by name)."""

    def rewrite(change):
        version = shutil.copytree(exported, tmp_path / "films" / "1")
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE))]
        with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
            for record in records:
                log = PredictionLog.FromString(record)
                request, response = log.predict_log.request, log.predict_log.response
                change(request.model_spec.signature_name, response.outputs)
                writer.write(log.SerializeToString())
        write_checksums(version)
        return version

    return rewrite


def test_an_export_passes(exported):
    signatures = [name for name in ServedModel(exported).signature_defs if not name.startswith("__")]
    assert check_version(exported) == len(signatures) * len(CPU.batch_sizes)


def of(signature, name, change):
    """Changes one output of one signature."""

    def rewrite(asked, outputs):
        if asked == signature:
            array = tf.make_ndarray(outputs[name])
            change(array)
            outputs[name].CopyFrom(tf.make_tensor_proto(array))

    return rewrite


def add(array):
    array += 0.5


def other_first(array):
    array[:, 0] = b"item9999" if array.dtype.kind == "O" else 0


def less(asked, outputs):
    if asked == "retrieve":
        del outputs["titles"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of("retrieve", "scores", add), "signature retrieve, request .*: scores is not what was recorded"),
        (of("embed_items", "embeddings", add), "signature embed_items, request .*: embeddings is not"),
        (of("retrieve", "item_ids", other_first), "signature retrieve, request .*: item_ids is not"),
        (of("retrieve_ids", "items", other_first), "signature retrieve_ids, request .*: items is not"),
        (less, "signature retrieve, request .*: titles is not"),
    ],
    ids=["scores", "vectors", "ids", "indices", "an output less"],
)
def test_another_answer(rewritten, change, message):
    with pytest.raises(InputError, match=message):
        check_version(rewritten(change))


@pytest.mark.parametrize(("scores", "passes"), [([3, 2, 2, 1], True), ([3, 2, 1, 0], False)], ids=["alike", "apart"])
def test_items_that_score_alike_may_change_places(scores, passes):
    recorded = {"items": np.array([[1, 2, 3, 4]]), "scores": np.array([scores], np.float32)}
    swapped = recorded | {"items": np.array([[1, 3, 2, 4]])}
    assert different(recorded, swapped, 1e-4) == ("" if passes else "items")
    assert different(recorded, recorded | {"items": np.array([[2, 1, 3, 4]])}, 1e-4) == "items"


def test_no_requests_no_proof(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "films" / "1")
    (version / WARMUP_FILE).unlink()
    write_checksums(version)
    with pytest.raises(InputError, match="has no warm-up requests"):
        check_version(version)
