"""Check of a version: it passes as exported and fails once its responses have changed."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import write_checksums
from tfllmrec.export.format import FORMAT_FILE
from tfllmrec.export.target import CPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.repository.check import check_version, first_difference
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.version import Loader, State, Version

EXACT = 1e-4


@pytest.fixture(scope="module")
def recommender(shared_fits):
    """A fitted recommender that exports scores, ids, indices and vectors."""
    return shared_fits("word2vec")


@pytest.fixture(scope="module")
def exported(recommender, tmp_path_factory):
    return export(recommender, tmp_path_factory.mktemp("models") / "films")


@pytest.fixture
def rewritten(exported, tmp_path):
    """Makes a version with changed recorded outputs of one signature: (signature, outputs -> None).

    It records only the largest request of that signature; replaying the others takes time.
    """

    def rewrite(signature, change):
        version = shutil.copytree(exported, tmp_path / "films" / "1")
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE))]
        logs = [PredictionLog.FromString(record) for record in records]
        requests = [log for log in logs if log.predict_log.request.model_spec.signature_name == signature]
        change(requests[-1].predict_log.response.outputs)
        with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
            writer.write(requests[-1].SerializeToString())
        write_checksums(version)
        return version

    return rewrite


def test_an_export_passes(exported):
    signatures = [name for name in ServedModel(exported).signature_defs if not name.startswith("__")]
    assert check_version(exported) == len(signatures) * len(CPU.batch_sizes)


def test_an_export_with_rounded_weights_passes(recommender, tmp_path):
    assert check_version(export(recommender, tmp_path / "films", precision="int8"))


def test_an_export_without_a_format_number_passes(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "films" / "1")
    (version / FORMAT_FILE).unlink()
    write_checksums(version)
    assert check_version(version)


def test_an_export_of_another_format_is_refused(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "films" / "1")
    (version / FORMAT_FILE).write_text('{"format": 2}')
    with pytest.raises(InputError, match=r"films/1 has format 2; .* reads format 1: upgrade tfllmrec, or export it"):
        check_version(version)
    served = Version(version, Loader())
    served.load()
    assert (served.state, served.error) == (State.AVAILABLE, "")  # servers ignore the number
    served.unload()


def changed(name, change):
    """Return a function that changes one recorded output."""

    def rewrite(outputs):
        array = tf.make_ndarray(outputs[name])
        change(array)
        outputs[name].CopyFrom(tf.make_tensor_proto(array))

    return rewrite


def add(array):
    array += 0.5


def replace_first(array):
    array[:, 0] = b"item9999" if array.dtype.kind == "O" else 0


def remove_titles(outputs):
    del outputs["titles"]


@pytest.mark.parametrize(
    ("signature", "change", "message"),
    [
        ("retrieve", changed("scores", add), "signature retrieve, request 0: scores differs from the recorded"),
        ("embed_items", changed("embeddings", add), "signature embed_items, request 0: embeddings differs"),
        ("retrieve", changed("item_ids", replace_first), "signature retrieve, request 0: item_ids differs"),
        ("retrieve_ids", changed("items", replace_first), "signature retrieve_ids, request 0: items differs"),
        ("retrieve", remove_titles, "signature retrieve, request 0: titles differs"),
    ],
    ids=["scores", "vectors", "ids", "indices", "missing output"],
)
def test_a_response_that_differs_is_refused(rewritten, signature, change, message):
    with pytest.raises(InputError, match=message):
        check_version(rewritten(signature, change))


@pytest.mark.parametrize(("scores", "passes"), [([3, 2, 2, 1], True), ([3, 2, 1, 0], False)], ids=["tied", "distinct"])
def test_items_with_equal_scores_may_change_positions(scores, passes):
    recorded = {"items": np.array([[1, 2, 3, 4]]), "scores": np.array([scores], np.float32)}
    swapped = recorded | {"items": np.array([[1, 3, 2, 4]])}
    assert first_difference(recorded, swapped, EXACT) == ("" if passes else "items")
    assert first_difference(recorded, recorded | {"items": np.array([[2, 1, 3, 4]])}, EXACT) == "items"


def test_a_version_without_warmup_requests_is_refused(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "films" / "1")
    (version / WARMUP_FILE).unlink()
    write_checksums(version)
    with pytest.raises(InputError, match="has no warm-up requests"):
        check_version(version)
