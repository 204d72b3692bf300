"""The REST interface: TF Serving's paths and JSON."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
from film_requests import CASES, COLUMNS, PREDICT, ROWS
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

PATHS = {
    "/v1/models/films": 2,
    "/v1/models/films/versions/1": 1,
    "/v1/models/films/versions/2": 2,
    "/v1/models/films/versions/01": 1,
    "/v1/models/films/labels/stable": 1,
    "/v1/models/films/labels/canary": 2,
    "/V1/Models/films/Versions/1": 1,
    "/v1/MODELS/films/LABELS/stable": 1,
}


def as_lists(arrays):
    """What JSON should say; strings are text."""
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(values).tolist() if values.dtype.kind == "O" else values
        for name, values in arrays.items()
    }


def assert_columns(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if isinstance(values, list):
            assert found[name] == values, name
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("signature", CASES)
def test_rows_and_columns_answer_as_grpc(server, signature):
    expected = as_lists(server.predict(signature, **CASES[signature]))
    alone = next(iter(expected.values())) if len(expected) == 1 else None

    status, found = server.http(PREDICT, {"signature_name": signature, "inputs": CASES[signature]})
    assert (status, found.keys()) == (200, {"outputs"})
    columns = found["outputs"] if alone is None else {next(iter(expected)): found["outputs"]}
    assert_columns(columns, expected)

    status, found = server.http(PREDICT, {"signature_name": signature, "instances": rows_of(CASES[signature])})
    assert (status, found.keys()) == (200, {"predictions"})
    if alone is None:
        assert {frozenset(row) for row in found["predictions"]} == {frozenset(expected)}
    rows = found["predictions"]
    columns = {name: rows if alone is not None else [row[name] for row in rows] for name in expected}
    assert_columns(columns, expected)


def test_a_single_input_may_stand_alone(server):
    ids = CASES["embed_items"]["item_ids"]
    expected = server.predict("embed_items", item_ids=ids)["embeddings"]
    for key, answer in {"instances": "predictions", "inputs": "outputs"}.items():
        status, found = server.http(PREDICT, {"signature_name": "embed_items", key: ids})
        assert status == 200
        np.testing.assert_allclose(found[answer], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("path", PATHS)
def test_versions_and_labels_in_the_path(server, models, path):
    status, found = server.http(f"{path}:predict", {"instances": ROWS})
    assert status == 200
    asked = (COLUMNS["user_id"], COLUMNS["history"])
    expected = models.recommended(*asked, exclude=COLUMNS["exclude_item_ids"], version=PATHS[path])
    for row, places in zip(found["predictions"], expected, strict=True):
        assert [item for item in row["item_ids"] if item] == [item for item, _, _ in places]
        assert [title for title in row["titles"] if title] == [title for _, title, _ in places]
        np.testing.assert_allclose(row["scores"][: len(places)], [score for *_, score in places], 1e-5, 1e-6)


@pytest.mark.parametrize("word", [":predict", ":PREDICT", ":Predict"])
def test_the_default_signature(server, word):
    found = server.http(f"/v1/models/films{word}", {"instances": ROWS})
    assert found == server.http(PREDICT, {"signature_name": "serving_default", "instances": ROWS})
    assert found == server.http(PREDICT, {"signature_name": "", "instances": ROWS})


def test_strings_in_base64(server):
    told = {"user_id": [{"b64": "55So5oi3Mw=="}], "history": [["item1"]], "exclude_item_ids": [[{"b64": ""}]]}
    plain = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[""]]}
    assert server.http(PREDICT, {"inputs": told}) == server.http(PREDICT, {"inputs": plain})
    assert server.http(PREDICT, {"inputs": told})[0] == 200


def test_escapes_and_utf8_are_the_same(server):
    escaped, plain = (json.dumps({"instances": ROWS}, ensure_ascii=escape).encode() for escape in (True, False))
    assert escaped != plain
    assert server.http(PREDICT, escaped) == server.http(PREDICT, plain)
    assert server.http(PREDICT, plain)[0] == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("word", ["/metadata", "/Metadata"])
def test_metadata_is_grpcs_as_json(server, path, word):
    status, found = server.http(path + word)
    assert status == 200
    assert found["model_spec"] == {"name": "films", "signature_name": "", "version": str(PATHS[path])}
    assert found.keys() == {"model_spec", "metadata"}
    assert found["metadata"].keys() == {"signature_def"}
    expected, parsed = get_model_metadata_pb2.SignatureDefMap(), get_model_metadata_pb2.SignatureDefMap()
    server.metadata("signature_def", name="films", version={"value": PATHS[path]}).metadata["signature_def"].Unpack(
        expected
    )
    assert found["metadata"]["signature_def"]["signature_def"].keys() == set(expected.signature_def)
    assert json_format.ParseDict(found["metadata"]["signature_def"], parsed) == expected
    user = found["metadata"]["signature_def"]["signature_def"]["retrieve"]["inputs"]["user_id"]
    assert user["dtype"] == "DT_STRING"
    assert user["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


def test_the_status_of_all_versions(server):
    fine = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    found = [{"version": version} | fine for version in ("2", "1")]
    assert server.http("/v1/models/films") == (200, {"model_version_status": found})


@pytest.mark.parametrize("path", [path for path in PATHS if path.count("/") > 3])
def test_the_status_of_one_version(server, path):
    status, found = server.http(path)
    assert (status, [one["version"] for one in found["model_version_status"]]) == (200, [str(PATHS[path])])


def test_the_status_of_a_model_that_does_not_load(server):
    status, found = server.http("/v1/models/broken")
    (one,) = found["model_version_status"]
    assert (status, one["version"], one["state"]) == (200, "1", "END")
    assert one["status"]["error_code"] != "OK"
    assert "saved_model.pb" in one["status"]["error_message"]


def test_two_requests_on_one_connection(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.connect()
    kept = connection.sock
    bodies = [{"instances": ROWS}, "nonsense", {"inputs": COLUMNS}]
    answers = []
    for body in bodies:
        connection.request("POST", PREDICT, json.dumps(body).encode())
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "application/json"
        answers.append((answer.status, json.loads(answer.read())))
        assert connection.sock is kept
    connection.close()
    assert [status for status, _ in answers] == [200, 400, 200]
    assert answers == [server.http(PREDICT, body) for body in bodies]


def test_a_body_in_chunks(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    text = json.dumps({"instances": ROWS}).encode()
    connection.request("POST", PREDICT, iter([text[:100], text[100:]]), encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == server.http(PREDICT, {"instances": ROWS})
    connection.close()
    assert answer.status == 200


def test_many_connections_at_once(server):
    """More than wait in a short queue of the operating system."""
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: server.http(PREDICT, {"instances": ROWS}), range(640)))
    assert {status for status, _ in answers} == {200}
    assert all(answer == answers[0] for answer in answers)
