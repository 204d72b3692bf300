"""Generated requests, mostly invalid: the server responds correctly or refuses them, and goes on."""

import http.client
import json
from urllib.parse import quote, urlsplit

import grpc
import numpy as np
import tensorflow as tf
from generated_inputs import ANY_ID, KNOWN, SIGNATURES, assert_equal_in_process, example_count, valid_inputs
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

CODES = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}
STATUSES = {400, 404}
DTYPES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 17, 22, 23]
FIELDS = ["float_val", "double_val", "int_val", "int64_val", "bool_val", "uint32_val", "uint64_val"]


@st.composite
def tensors(draw):
    """Draw a TensorProto; its shape and values may disagree."""
    shape = draw(st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4]), max_size=3) | st.sampled_from(LARGE_SHAPES))
    tensor = TensorProto(dtype=draw(st.sampled_from([7, 7, 3, 3, *DTYPES]) | st.integers(0, 130)))
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    tensor.tensor_shape.unknown_rank = draw(st.sampled_from([False] * 9 + [True]))
    count = draw(st.sampled_from([int(min(np.prod(shape, dtype=float), 64)), 0, 1, 3]))
    if tensor.dtype == 7:
        tensor.string_val.extend(draw(st.lists(ANY_ID, min_size=max(count, 0), max_size=max(count, 0))))
    elif draw(st.booleans()):
        tensor.tensor_content = draw(st.binary(max_size=40))
    else:
        field = {3: "int_val", 1: "float_val", 9: "int64_val"}.get(tensor.dtype, draw(st.sampled_from(FIELDS)))
        getattr(tensor, field).extend(draw(st.lists(st.integers(0, 1), max_size=max(count, 0))))
    return tensor


LARGE_SHAPES = [
    [-1],
    [0, 2**31],
    [0, 2**62],
    [2**31, 0],
    [2**40],
    [2**62, 2**62],
    [1] * 40,
    [2, -3],
    [2**63 - 1, 0],
]
NAMES = sorted({name for inputs in SIGNATURES.values() for name in inputs})
ANY_NAME = st.sampled_from(NAMES) | st.text(max_size=6)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["films", "popular", "broken", ""]) | st.text(max_size=10),
        "signature_name": st.sampled_from(list(SIGNATURES)) | st.text(max_size=10),
        "version": st.builds(dict, value=st.integers(0, 3) | st.integers(-(2**63), 2**63 - 1)),
    },
) | st.fixed_dictionaries({"name": st.just("films"), "version_label": st.sampled_from(["stable", ""]) | st.text()})


@st.composite
def any_requests(draw):
    """Draw a request. Half of the requests have the inputs of a signature, possibly with one invalid tensor."""
    output_filter = draw(st.just([]) | st.just([]) | st.lists(ANY_NAME | st.just("scores"), max_size=2))
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    if draw(st.booleans()):
        signature, inputs = draw(valid_inputs())
        request.model_spec.name, request.model_spec.signature_name = "films", signature
        for name, values in inputs.items():
            dtype = tf.string if values.dtype == object else tf.int32
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype, values.shape))
        for name in draw(st.lists(st.sampled_from(list(inputs)), max_size=1)):
            request.inputs[name].CopyFrom(draw(tensors()))
    else:
        if draw(st.integers(0, 9)):
            request.model_spec.MergeFrom(predict_pb2.PredictRequest(model_spec=draw(SPECS)).model_spec)
        for name in draw(st.lists(ANY_NAME, max_size=4)):
            request.inputs[name].CopyFrom(draw(tensors()))
    return request


@example_count(400)
@given(any_requests())
def test_any_request_is_served_correctly_or_refused(server, models, request):
    try:
        spec, outputs = server.send(request)
    except grpc.RpcError as error:
        code, sentence = error.code(), error.details()
    else:
        code, sentence = grpc.StatusCode.OK, ""
    if code is not grpc.StatusCode.OK:
        assert code in CODES, sentence
        assert sentence.strip()
        assert len(sentence.splitlines()) == 1, repr(sentence)
        return
    assert (spec.name, spec.version.value) in models.in_process
    if spec.name == "films":
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        assert_equal_in_process(models, spec.version.value, spec.signature_name, inputs, outputs)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | KNOWN
    | st.sampled_from(["\ud800", {"b64": ""}, {"b64": "?"}, {"b64": 1}, 2**31, -1, 10**30])
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(ANY_NAME, children, max_size=4),
    max_leaves=12,
)
ALMOST_VALID = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(list(SIGNATURES)) | ANY_JSON,
        "instances": ANY_JSON
        | st.lists(st.dictionaries(st.sampled_from(NAMES), ANY_JSON), max_size=3)
        | st.lists(st.fixed_dictionaries(dict.fromkeys(SIGNATURES["retrieve"], ANY_JSON)), max_size=3),
        "inputs": ANY_JSON | st.fixed_dictionaries(dict.fromkeys(SIGNATURES["retrieve"], ANY_JSON)),
    },
)
VALID_JSON = st.sampled_from(
    [
        b'{"instances":[{"user_id":"a","history":["b"],"exclude_item_ids":[""]}]}',
        b'{"signature_name":"embed_items","inputs":["item1"]}',
        '{"inputs":{"user_id":["用户3"],"history":[["电影一"]],"exclude_item_ids":[[""]]}}'.encode(),
    ]
)


@st.composite
def damaged(draw):
    """Draw a valid body with some bytes removed or inserted."""
    body = draw(VALID_JSON)
    position, removed = draw(st.integers(0, len(body))), draw(st.integers(0, 3))
    return body[:position] + draw(st.binary(max_size=3)) + body[position + removed :]


def assert_http(status, content):
    if status == 200:
        assert content.keys() <= {"predictions", "outputs"}, content
        assert "NaN" not in json.dumps(content)
        return
    assert status in STATUSES, content
    assert content.keys() == {"error"}
    assert len(content["error"].splitlines()) == 1, content


@example_count(400)
@given(
    ANY_JSON.map(json.dumps).map(str.encode)
    | ALMOST_VALID.map(json.dumps).map(str.encode)
    | ALMOST_VALID.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
    | damaged()
)
def test_any_body_is_served_correctly_or_refused(server, body):
    assert_http(*server.http("/v1/models/films:predict", body))


WORDS = ["v1", "models", "films", "popular", "broken", "versions", "labels", "1", "2", "stable", "metadata", "", ".."]
ENDS = ["", ":predict", ":PREDICT", ":classify", "?a=b", "/", ":", "%", "%zz", "//"]


@example_count(150)
@given(
    st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6),
    st.sampled_from(ENDS),
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"]),
    st.booleans(),
)
def test_any_path_is_served_correctly_or_refused(server, words, end, method, with_model):
    path = "/v1/models/films/" * with_model + "/".join(quote(word, safe="") for word in words) + end
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(
        method, f"/{path.lstrip('/')}", json.dumps({"inputs": {}}).encode() if method == "POST" else None
    )
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.getheader("Content-Type") == "application/json", content
    if method == "HEAD":
        assert content == b""
    elif response.status == 200:
        assert method == "GET"
        assert json.loads(content).keys() <= {"model_version_status", "model_spec", "metadata"}
    else:
        assert_http(response.status, json.loads(content))


def test_the_server_still_serves(server, assert_serves):
    assert_serves()
    assert server.process._process.poll() is None
