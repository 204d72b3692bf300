"""Made-up requests: whatever comes, a server answers well or says what is wrong, and lives."""

import http.client
import json
from urllib.parse import quote, urlsplit

import grpc
import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from made_up_inputs import ANY_ID, KNOWN, SIGNATURES, assert_as_in_process, good_inputs, many
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
    """TensorProtos whose shape and values may or may not agree."""
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
    """Half of them ask an existing signature for its inputs; the tensors are seldom right."""
    wanted = draw(st.just([]) | st.just([]) | st.lists(ANY_NAME | st.just("scores"), max_size=2))
    request = predict_pb2.PredictRequest(output_filter=wanted)
    if draw(st.booleans()):
        signature, inputs = draw(good_inputs())
        request.model_spec.name, request.model_spec.signature_name = "films", signature
        for name, values in inputs.items():
            kind = tf.string if values.dtype == object else tf.int32
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values, kind, values.shape))
        for name in draw(st.lists(st.sampled_from(list(inputs)), max_size=1)):
            request.inputs[name].CopyFrom(draw(tensors()))
    else:
        if draw(st.integers(0, 9)):
            request.model_spec.MergeFrom(predict_pb2.PredictRequest(model_spec=draw(SPECS)).model_spec)
        for name in draw(st.lists(ANY_NAME, max_size=4)):
            request.inputs[name].CopyFrom(draw(tensors()))
    return request


@many(400)
@given(any_requests())
def test_any_request_is_answered_well_or_refused(server, models, request):
    refusal = None
    try:
        spec, found = server.send(request)
    except grpc.RpcError as error:
        refusal = error
    if refusal:
        assert refusal.code() in CODES, refusal.details()
        assert refusal.details().strip()
        assert len(refusal.details().splitlines()) == 1, repr(refusal.details())
        return
    assert (spec.name, spec.version.value) in models.in_process
    if spec.name == "films":
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        assert_as_in_process(models, spec.version.value, spec.signature_name, inputs, found)


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
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(list(SIGNATURES)) | ANY_JSON,
        "instances": ANY_JSON
        | st.lists(st.dictionaries(st.sampled_from(NAMES), ANY_JSON), max_size=3)
        | st.lists(st.fixed_dictionaries(dict.fromkeys(SIGNATURES["retrieve"], ANY_JSON)), max_size=3),
        "inputs": ANY_JSON | st.fixed_dictionaries(dict.fromkeys(SIGNATURES["retrieve"], ANY_JSON)),
    },
)
ALMOST_JSON = st.sampled_from(
    [
        b'{"instances":[{"user_id":"a","history":["b"],"exclude_item_ids":[""]}]}',
        b'{"signature_name":"embed_items","inputs":["item1"]}',
        '{"inputs":{"user_id":["用户3"],"history":[["电影一"]],"exclude_item_ids":[[""]]}}'.encode(),
    ]
)


@st.composite
def damaged(draw):
    """A good body with some bytes taken out or put in."""
    body = draw(ALMOST_JSON)
    place, gone = draw(st.integers(0, len(body))), draw(st.integers(0, 3))
    return body[:place] + draw(st.binary(max_size=3)) + body[place + gone :]


def assert_http(status, answer):
    if status == 200:
        assert answer.keys() <= {"predictions", "outputs"}, answer
        assert "NaN" not in json.dumps(answer)
        return
    assert status in STATUSES, answer
    assert answer.keys() == {"error"}
    assert len(answer["error"].splitlines()) == 1, answer


@many(400)
@given(
    ANY_JSON.map(json.dumps).map(str.encode)
    | NEARLY.map(json.dumps).map(str.encode)
    | NEARLY.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
    | damaged()
)
def test_any_body_is_answered_well_or_refused(server, body):
    assert_http(*server.http("/v1/models/films:predict", body))


WORDS = ["v1", "models", "films", "popular", "broken", "versions", "labels", "1", "2", "stable", "metadata", "", ".."]
ENDS = ["", ":predict", ":PREDICT", ":classify", "?a=b", "/", ":", "%", "%zz", "//"]


@many(150)
@given(
    st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6),
    st.sampled_from(ENDS),
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"]),
    st.booleans(),
)
def test_any_path_is_answered_well_or_refused(server, words, end, method, from_the_start):
    path = "/v1/models/films/" * from_the_start + "/".join(quote(word, safe="") for word in words) + end
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(
        method, f"/{path.lstrip('/')}", json.dumps({"inputs": {}}).encode() if method == "POST" else None
    )
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.getheader("Content-Type") == "application/json", said
    if method == "HEAD":
        assert said == b""
    elif answer.status == 200:
        assert method == "GET"
        assert json.loads(said).keys() <= {"model_version_status", "model_spec", "metadata"}
    else:
        assert_http(answer.status, json.loads(said))


def test_the_server_is_well_after_all_of_this(server, well):
    well()
    assert server.process._process.poll() is None
