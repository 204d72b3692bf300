"""Errors of the REST interface in TF Serving's words, which client libraries match on."""

import json

import pytest
from film_requests import CASES, COLUMNS, PREDICT, ROWS

ROW = {"user_id": "a", "history": ["b"], "exclude_item_ids": ["c"]}
NAMES = "exclude_item_ids,history,user_id"
ELEMENT = "Failed to process element: 0 key: history of 'instances' list. Error: INVALID_ARGUMENT: "
IDS = CASES["retrieve_ids"]
BODIES = {
    "empty": (b"", "JSON Parse error: The document is empty"),
    "not an object": (b"[1]", "JSON Value: [1] Is not object"),
    "neither": (b'{"signature_name": "retrieve"}', "Missing 'inputs' or 'instances' key"),
    "both": (
        b'{"instances": [], "inputs": {}}',
        'JSON Value: {"instances": [], "inputs": {}} Not formatted correctly expecting only one of \'inputs\' or '
        "'instances' keys to exist",
    ),
    "an object for rows": (
        b'{"instances": {}}',
        "JSON Value: {\"instances\": {}} Expecting 'instances' to be an list/array",
    ),
    "no rows": (b'{"instances": []}', "JSON Value: {\"instances\": []} No values in 'instances' array"),
    "bare rows": (
        b'{"instances": ["a"]}',
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a bare column": (
        b'{"inputs": ["a"]}',
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a missing key": (
        {"instances": [{"history": ["b"]}]},
        "Failed to process element: 0 of 'instances' list. "
        f'JSON object: {{"history": ["b"]}} keys must be equal to: {NAMES}',
    ),
    "an extra key": (
        {"instances": [ROW | {"k": 1}]},
        "Failed to process element: 0 key: k of 'instances' list. "
        "Error: INVALID_ARGUMENT: JSON object: does not have named input: k",
    ),
    "a missing column": (
        {"inputs": {"user_id": ["a"], "history": [["b"]]}},
        "Missing named input: exclude_item_ids in 'inputs' object.",
    ),
    "a number for a string": (
        {"instances": [ROW | {"history": [1]}]},
        f"{ELEMENT}JSON Value: 1 Type: Number is not of expected type: string",
    ),
    "ragged": (
        {"instances": [ROW | {"history": [["a"], ["b", "c"]]}]},
        f"{ELEMENT}Encountered list at unexpected size: 2 at level: 1 expected size: 1",
    ),
    "ragged rows": (
        {"instances": [ROW, ROW | {"history": ["b", "c"]}]},
        f"{ELEMENT.replace('0', '1')}Expecting tensor size: 1 but got: 2",
    ),
    "a fraction": (
        {"signature_name": "retrieve_ids", "inputs": IDS | {"user": [1.5, 2]}},
        "JSON Value: 1.5 Type: Number is not of expected type: int32",
    ),
    "beyond int32": (
        {"signature_name": "retrieve_ids", "inputs": IDS | {"user": [2**31, 2]}},
        "JSON Value: 2147483648 Type: Number is not of expected type: int32",
    ),
    "base64": ({"inputs": COLUMNS | {"user_id": [{"b64": "!"}]}}, "Unable to base64 decode"),
    "a number for a signature": (
        b'{"signature_name": 1}',
        "JSON Value: {\"signature_name\": 1} not formatted correctly. 'signature_name' key must be a string value.",
    ),
    "unknown signature": (
        {"signature_name": "retrieved", "instances": ROWS},
        'Serving signature name: "retrieved" not found in signature def',
    ),
    "unknown signature and no inputs": (
        {"signature_name": "a b"},
        'Serving signature name: "a b" not found in signature def',
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_predict_refuses_bodies_with_the_words_of_tf_serving(server, case):
    body, sentence = BODIES[case]
    assert server.http(PREDICT, body) == (400, {"error": sentence})


@pytest.mark.parametrize("api", ["classify", "regress"])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {}}, "JSON Value: {} Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "JSON Value: {} 'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{}], "context": []}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": {}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": [1, 2.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": [2.5, 1]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": ["a", 1]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64_t element. Only int64_t is supported."),
        ({"examples": [{"x": 10**400}]}, "JSON Parse error: Number too big to be stored in double."),
        ({"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
    ],
)
def test_examples_are_refused_with_the_words_of_tf_serving(server, api, body, sentence):
    response = server.http(f"/v1/models/films:{api}", body)
    assert response == (400, {"error": sentence.replace("JSON Value: {}", f"JSON Value: {json.dumps(body)}")})


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/v1/models", 400, "Missing model name in request."),
        (f"/v1/models/films/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
        ("/v1/models/films/versions/" + "9" * 5000, 400, f"Failed to convert version: {'9' * 5000} to numeric."),
    ],
)
def test_a_status_is_refused_with_the_words_of_tf_serving(server, path, code, sentence):
    assert server.http(path) == (code, {"error": sentence})
