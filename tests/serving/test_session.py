"""SavedModels in a session: equal to `tf.saved_model.load`, refused inputs, XLA and custom operations."""

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

OTHER_PROCESS = """
import json, sys
from tfllmrec_client.messages import PredictRequest  # before TensorFlow
import numpy as np
from tfllmrec.serving.session import ServedModel, disable_xla
from tfllmrec_client.status import RequestError
from tensorflow_serving.apis import predict_pb2

light = PredictRequest(model_spec={"name": "films", "version": {"value": 3}})
parsed = predict_pb2.PredictRequest.FromString(light.SerializeToString())
run = lambda name: ServedModel(sys.argv[1]).run(name, {"x": np.float32([1, 2])})["y"].tolist()
results = {"parsed_version": parsed.model_spec.version.value, "compiled": run("compiled")}
results["plain"] = run("serving_default")
results["text_without_need"] = "tensorflow_text" in sys.modules
tokens = ServedModel(sys.argv[2])("serving_default", texts=["ab 花", "", "a a a a a"])
results["token_ids"] = tokens["token_ids"].tolist()
results["keras_nlp"] = "keras_nlp" in sys.modules
disable_xla()
results["plain_without_xla"] = run("serving_default")
try:
    results["compiled_without_xla"] = run("compiled")
except RequestError as error:
    results["compiled_without_xla"] = str(error)
print(json.dumps(results))
"""
"""Script for a separate process: `disable_xla` is permanent, and tensorflow_text must not be imported yet."""
X = {"x": np.float32([1, 2])}
JOIN = {"a": [b"x", b"\xff"], "n": [[1, 2], [3, 4]]}


class Signatures(tf.Module):
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
    module, path = Signatures(), tmp_path_factory.mktemp("signatures") / "1"
    signatures = {"serving_default": module.double, "compiled": module.compiled, "join": module.join}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


@pytest.fixture(scope="module")
def model(path):
    return ServedModel(path)


def arrays(a=JOIN["a"], n=JOIN["n"]):
    return {"a": np.array(a, object), "n": np.array(n, np.int32)}


def error_of(model, *arguments):
    with pytest.raises(RequestError) as error:
        model.run(*arguments)
    return error.value.code.name, str(error.value)


def as_lists(outputs):
    return {name: np.array(values).tolist() for name, values in outputs.items()}


@pytest.mark.parametrize(("name", "inputs"), [("serving_default", X), ("compiled", X), ("join", arrays())])
def test_outputs_equal_those_of_tensorflow(model, path, name, inputs):
    loaded = tf.saved_model.load(str(path)).signatures[name]
    expected = loaded(**{key: tf.constant(value) for key, value in inputs.items()})
    outputs = model.run(name, inputs)
    assert as_lists(outputs) == as_lists({key: value.numpy() for key, value in expected.items()})
    assert {key: value.dtype for key, value in outputs.items()} == {
        key: np.array(value.numpy()).dtype for key, value in expected.items()
    }


def test_signatures_are_listed_without_internal_ones(model, path):
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
def test_a_signature_with_rows_in_all_inputs_and_outputs_can_be_batched(model, name, batched):
    assert model.signature(name).batched == batched


def test_a_signature_without_inputs_cannot_be_batched():
    rows = {"name": "rows:0", "dtype": 1, "tensor_shape": {"dim": [{"size": -1}]}}
    assert not Signature("all_items", SignatureDef(outputs={"rows": rows})).batched


def test_an_empty_name_means_serving_default(model):
    assert (
        as_lists(model.run("", X))
        == as_lists(model.run("serving_default", X))
        == {
            "size": 2,
            "text": [b"1.0", b"2.0"],
            "y": [2, 4],
        }
    )
    assert model.signature("") is model.signature("serving_default")


def test_a_call_accepts_lists_and_returns_text(model):
    assert as_lists(model("join", a=["电", ""], n=[[1, 2], [3, 4]])) == {"joined": ["电1", "3"], "n": [[1, 2], [3, 4]]}
    assert as_lists(model("", x=[])) == {"size": 0, "text": [], "y": []}


@pytest.mark.parametrize("name", ["retrieve", "__saved_model_init_op", "Serving_default", " "])
def test_an_unknown_signature_is_refused(model, name):
    code, sentence = error_of(model, name, X)
    assert code == "FAILED_PRECONDITION"
    assert sentence == f'Serving signature key "{name}" not found.'


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (
            {},
            "input size does not match signature: 0!=2 len({}) != len({a,n}). Sent extra: {}. "
            "Missing but required: {a,n}.",
        ),
        ({"a": arrays()["a"]}, "1!=2 len({a}) != len({a,n}). Sent extra: {}. Missing but required: {n}."),
        ({**arrays(), "b": np.zeros(2)}, "3!=2 len({a,b,n}) != len({a,n}). Sent extra: {b}. Missing but required: {}."),
        (
            {"a": arrays()["a"], "N": arrays()["n"]},
            "not found in request and no default value provided. Inputs expected to be in the request {a,n}",
        ),
        ({**arrays(), "n": np.zeros((2, 2), np.int64)}, "join: input n must be int32, not int64"),
        ({**arrays(), "n": arrays()["a"]}, "input n must be int32, not string"),
        ({**arrays(), "a": np.zeros(2, np.float32)}, "input a must be string, not float32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, inputs, sentence):
    code, message = error_of(model, "join", inputs)
    assert code == "INVALID_ARGUMENT"
    assert sentence in message


@pytest.mark.parametrize("output_filter", [["y"], ["size", "y"], ("text",), []])
def test_an_output_filter_selects_outputs(model, output_filter):
    outputs = model.run("", X, output_filter)
    assert sorted(outputs) == sorted(set(output_filter) or {"y", "size", "text"})
    assert as_lists(outputs) == {name: value for name, value in as_lists(model.run("", X)).items() if name in outputs}


def test_a_default_value_replaces_a_missing_input(path, tmp_path):
    content = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    default = tf.make_tensor_proto([[7, 8]], tf.int32)
    content.meta_graphs[0].signature_def["join"].defaults["n"].CopyFrom(default)
    (tmp_path / "saved_model.pb").write_bytes(content.SerializeToString())
    (tmp_path / "variables").symlink_to(path / "variables")
    model = ServedModel(tmp_path)
    assert as_lists(model.run("join", {"a": np.array([b"x"], object)}))["joined"] == [b"x7"]
    assert as_lists(model.run("join", arrays()))["joined"] == [b"x1", b"\xff3"]
    assert "not found in request" in error_of(model, "join", {"n": arrays()["n"]})[1]
    assert "join has no input b" in error_of(model, "join", {"a": arrays()["a"], "b": arrays()["n"]})[1]


def test_shapes_are_checked_by_the_graph(model):
    assert model.run("", {"x": np.float32([[1], [2]])})["y"].tolist() == [[2], [4]]
    assert model.run("", {"x": np.float32(3)})["y"].tolist() == 6
    assert error_of(model, "join", arrays(n=[1, 2]))[0] == "INVALID_ARGUMENT"


def test_an_output_twice_is_refused(model):
    assert error_of(model, "", X, ["y", "size", "y"]) == ("INVALID_ARGUMENT", "duplicate output tensor alias: y")


@pytest.mark.parametrize("output_filter", [["Y"], ["y", "z"], [""]])
def test_an_unknown_output_is_refused(model, output_filter):
    code, sentence = error_of(model, "", X, output_filter)
    assert code == "INVALID_ARGUMENT"
    assert sentence.startswith(f"output tensor alias not found in signature: {output_filter[-1]}")
    assert sentence.endswith("Outputs expected to be in the set {size,text,y}.")


def test_an_error_in_the_graph_is_one_line_without_graph_locations(model):
    for _ in range(2):
        code, sentence = error_of(model, "join", arrays(a=[b"x", b"y", b"z"]))
        assert code == "INVALID_ARGUMENT"
        assert sentence.startswith("join failed: ")
        assert "\n" not in sentence
        assert "[[" not in sentence
        assert "node" not in sentence.lower()
        assert len(sentence) > len("join failed: ") + 10
    assert as_lists(model.run("join", arrays()))["joined"] == [b"x1", b"\xff3"]


def test_a_signature_with_a_missing_tensor_is_refused(path, tmp_path):
    graph = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph.meta_graphs[0].signature_def["join"].outputs["joined"].name = "nowhere:0"
    (tmp_path / "saved_model.pb").write_bytes(graph.SerializeToString())
    (tmp_path / "variables").symlink_to(path / "variables")
    code, sentence = error_of(ServedModel(tmp_path), "join", arrays())
    assert code in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert "nowhere" in sentence


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_a_saved_model_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"the SavedModel in {tmp_path / name} cannot be loaded: "):
        ServedModel(tmp_path / name)


@pytest.fixture(scope="module")
def tokenizer_path(tiny_bert, tmp_path_factory):
    """Return a SavedModel that tokenizes texts."""
    module, path = tf.Module(), tmp_path_factory.mktemp("tokenizer")
    tokens = pretrained_bert(tiny_bert).preprocessor(6)
    texts = tf.TensorSpec([None], tf.string, "texts")
    module.call = tf.function(lambda texts: {"token_ids": tokens(texts)["token_ids"]}, input_signature=[texts])
    tf.saved_model.save(module, str(path), signatures=module.call.get_concrete_function())
    return path


@pytest.fixture(scope="module")
def other_process(path, tokenizer_path):
    """Return the results of `OTHER_PROCESS`."""
    command = [sys.executable, "-c", OTHER_PROCESS, path, tokenizer_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_xla_can_be_disabled(other_process):
    assert other_process["compiled"] == other_process["plain"] == other_process["plain_without_xla"] == [2, 4]
    assert "compiled failed: " in other_process["compiled_without_xla"]
    assert "XLA" in other_process["compiled_without_xla"]


def test_messages_of_the_client_and_of_tensorflow_serving_coexist(other_process):
    assert other_process["parsed_version"] == 3


def test_tensorflow_text_is_imported_only_when_a_model_needs_it(other_process, tiny_bert):
    tokenizer = pretrained_bert(tiny_bert).tokenizer
    start, end, a, b, flower = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "a", "##b", "花"))
    assert other_process["token_ids"] == [
        [start, a, b, flower, end, 0],
        [start, end, 0, 0, 0, 0],
        [start, a, a, a, a, end],
    ]
    assert (other_process["text_without_need"], other_process["keras_nlp"]) == (False, False)
