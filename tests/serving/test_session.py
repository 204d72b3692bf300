"""A SavedModel asked by signature name, against what `tf.saved_model.load` says of the same."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.errors import InputError
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError

XLA = """
import sys
from tfllmrec_client.messages import PredictRequest  # before TensorFlow
import numpy as np
from tfllmrec.serving.session import ServedModel, without_xla
from tfllmrec_client.status import RequestError
from tensorflow_serving.apis import predict_pb2

light = PredictRequest(model_spec={"name": "films", "version": {"value": 3}})
assert predict_pb2.PredictRequest.FromString(light.SerializeToString()).model_spec.version.value == 3
ask = lambda name: ServedModel(sys.argv[1]).run(name, {"x": np.float32([1, 2])})["y"].tolist()
assert ask("compiled") == ask("serving_default") == [2, 4]
without_xla()
assert ask("serving_default") == [2, 4]
try:
    ask("compiled")
except RequestError as error:
    print(error.code.name, error)
else:
    raise SystemExit("the compiled signature runs without XLA")
"""
TEXTS = """
import sys
from tfllmrec.serving.session import ServedModel

assert ServedModel(sys.argv[1])("serving_default", x=[1, 2])["y"].tolist() == [2, 4]
assert "tensorflow_text" not in sys.modules  # which takes a second
print(ServedModel(sys.argv[2])("serving_default", texts=["ab 花", "", "a a a a a"])["token_ids"].tolist())
assert "keras_nlp" not in sys.modules
"""
X = {"x": np.float32([1, 2])}
JOIN = {"a": [b"x", b"\xff"], "n": [[1, 2], [3, 4]]}


class Made(tf.Module):
    def __init__(self):
        super().__init__()
        self.two = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def double(self, x):
        return {"y": self.two * x, "size": tf.size(x), "text": tf.strings.as_string(x, precision=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], jit_compile=True)
    def compiled(self, x):
        return {"y": self.two * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "a"), tf.TensorSpec([None, 2], tf.int32, "n")])
    def join(self, a, n):
        return {"joined": tf.strings.join([a, tf.strings.as_string(n[:, 0])]), "n": n}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    module, path = Made(), tmp_path_factory.mktemp("made") / "1"
    signatures = {"serving_default": module.double, "compiled": module.compiled, "join": module.join}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


@pytest.fixture(scope="module")
def model(path):
    return ServedModel(path)


def arrays(a=JOIN["a"], n=JOIN["n"]):
    return {"a": np.array(a, object), "n": np.array(n, np.int32)}


def refused(model, *arguments):
    with pytest.raises(RequestError) as error:
        model.run(*arguments)
    return error.value.code.name, str(error.value)


def plain(outputs):
    return {name: np.array(values).tolist() for name, values in outputs.items()}


@pytest.mark.parametrize(("name", "inputs"), [("serving_default", X), ("compiled", X), ("join", arrays())])
def test_answers_are_those_of_tensorflow(model, path, name, inputs):
    loaded = tf.saved_model.load(str(path)).signatures[name]
    expected = loaded(**{key: tf.constant(value) for key, value in inputs.items()})
    found = model.run(name, inputs)
    assert plain(found) == plain({key: value.numpy() for key, value in expected.items()})
    assert {key: value.dtype for key, value in found.items()} == {
        key: np.array(value.numpy()).dtype for key, value in expected.items()
    }


def test_the_signatures_are_known(model, path):
    assert set(model.signature_defs) == {"compiled", "join", "serving_default", "__saved_model_init_op"}
    with pytest.raises(RequestError):
        model.signature("__saved_model_init_op")
    assert model.folder == path
    assert [(spec.dtype, spec.shape) for spec in model.signature("join").inputs.values()] == [
        (np.dtype(object), [None]),
        (np.dtype(np.int32), [None, 2]),
    ]


@pytest.mark.parametrize(
    ("name", "batched"), [("", False), ("serving_default", False), ("compiled", True), ("join", True)]
)
def test_a_signature_whose_inputs_and_outputs_are_rows_can_be_batched(model, name, batched):
    assert model.signature(name).batched == batched


def test_a_signature_without_inputs_cannot_be_batched():
    rows = {"name": "rows:0", "dtype": 1, "tensor_shape": {"dim": [{"size": -1}]}}
    assert not Signature("all_items", SignatureDef(outputs={"rows": rows})).batched


def test_no_name_means_serving_default(model):
    assert (
        plain(model.run("", X))
        == plain(model.run("serving_default", X))
        == {
            "size": 2,
            "text": [b"1.0", b"2.0"],
            "y": [2, 4],
        }
    )
    assert model.signature("") is model.signature("serving_default")


def test_a_call_takes_lists_and_gives_text(model):
    assert plain(model("join", a=["电", ""], n=[[1, 2], [3, 4]])) == {"joined": ["电1", "3"], "n": [[1, 2], [3, 4]]}
    assert plain(model("", x=[])) == {"size": 0, "text": [], "y": []}


@pytest.mark.parametrize("name", ["retrieve", "__saved_model_init_op", "Serving_default", " "])
def test_an_unknown_signature(model, name):
    code, sentence = refused(model, name, X)
    assert code == "FAILED_PRECONDITION"
    assert sentence == f"there is no signature {name!r}; there are compiled, join, serving_default"


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "join takes the inputs a, n; missing: a, n, extra: none"),
        ({"a": arrays()["a"]}, "missing: n, extra: none"),
        ({**arrays(), "b": np.zeros(2)}, "missing: none, extra: b"),
        ({"a": arrays()["a"], "N": arrays()["n"]}, "missing: n, extra: N"),
        ({**arrays(), "n": np.zeros((2, 2), np.int64)}, "join: input n is int64, and must be int32"),
        ({**arrays(), "n": arrays()["a"]}, "input n is string, and must be int32"),
        ({**arrays(), "a": np.zeros(2, np.float32)}, "input a is float32, and must be string"),
        (arrays(a=b"x"), "join: input a has the shape [], and must have ['?']"),
        (arrays(a=[[b"x", b"y"]]), "input a has the shape [1, 2]"),
        (arrays(n=[1, 2]), "input n has the shape [2], and must have ['?', 2]"),
        (arrays(n=[[1], [2]]), "input n has the shape [2, 1]"),
        (arrays(n=np.zeros((2, 0))), "input n has the shape [2, 0]"),
        (arrays(n=[[1, 2, 3]] * 2), "input n has the shape [2, 3]"),
    ],
)
def test_inputs_that_do_not_fit(model, inputs, sentence):
    found = refused(model, "join", inputs)
    assert found[0] == "INVALID_ARGUMENT"
    assert sentence in found[1]


@pytest.mark.parametrize("wanted", [["y"], ["size", "y"], ["y", "size", "y"], ("text",), []])
def test_outputs_can_be_chosen(model, wanted):
    found = model.run("", X, wanted)
    assert sorted(found) == sorted(set(wanted) or {"y", "size", "text"})
    assert plain(found) == {name: value for name, value in plain(model.run("", X)).items() if name in found}


@pytest.mark.parametrize("wanted", [["Y"], ["y", "z"], [""]])
def test_outputs_that_there_are_not(model, wanted):
    assert refused(model, "", X, wanted) == (
        "INVALID_ARGUMENT",
        f"serving_default has no output {wanted[-1]!r}; there are size, text, y",
    )


def test_what_fails_in_the_graph_is_one_line_without_places_in_the_graph(model):
    for _ in range(2):
        code, sentence = refused(model, "join", arrays(a=[b"x", b"y", b"z"]))
        assert code == "INVALID_ARGUMENT"
        assert sentence.startswith("join failed: ")
        assert "\n" not in sentence
        assert "[[" not in sentence
        assert "node" not in sentence.lower()
        assert len(sentence) > len("join failed: ") + 10
    assert plain(model.run("join", arrays()))["joined"] == [b"x1", b"\xff3"]


def test_a_signature_that_names_what_is_not_in_the_graph(path, tmp_path):
    graph = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph.meta_graphs[0].signature_def["join"].outputs["joined"].name = "nowhere:0"
    (tmp_path / "saved_model.pb").write_bytes(graph.SerializeToString())
    (tmp_path / "variables").symlink_to(path / "variables")
    code, sentence = refused(ServedModel(tmp_path), "join", arrays())
    assert code in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert "nowhere" in sentence


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_a_model(tmp_path, name):
    with pytest.raises(InputError, match=f"{tmp_path / name} holds no SavedModel that loads: "):
        ServedModel(tmp_path / name)


def test_xla_can_be_switched_off(path):
    found = subprocess.run([sys.executable, "-c", XLA, str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "compiled failed: " in found.stdout
    assert "XLA" in found.stdout


def test_tokenizers_run_in_a_process_that_knows_none(path, tiny_bert, tmp_path):
    """TensorFlow Text's operations come when a SavedModel needs them, and not before."""
    bert, module = pretrained_bert(tiny_bert), tf.Module()
    tokens = bert.preprocessor(6)
    texts = tf.TensorSpec([None], tf.string, "texts")
    module.call = tf.function(lambda texts: {"token_ids": tokens(texts)["token_ids"]}, input_signature=[texts])
    tf.saved_model.save(module, str(tmp_path), signatures=module.call.get_concrete_function())
    found = subprocess.run([sys.executable, "-c", TEXTS, path, tmp_path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    ids = {piece: bert.tokenizer.token_to_id(piece) for piece in ("[CLS]", "[SEP]", "a", "##b", "花")}
    start, end, a, b, flower = ids.values()
    assert json.loads(found.stdout.splitlines()[-1]) == [
        [start, a, b, flower, end, 0],
        [start, end, 0, 0, 0, 0],
        [start, a, a, a, a, end],
    ]
