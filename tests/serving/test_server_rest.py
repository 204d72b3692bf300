"""The REST interface: TF Serving's paths, JSON forms, metadata, status and connections."""

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
    f"/v1/models/films/versions/{'0' * 5000}2": 2,
    "/v1/models/films/labels/stable": 1,
    "/v1/models/films/labels/canary": 2,
    "/V1/Models/films/Versions/1": 1,
    "/v1/MODELS/films/LABELS/stable": 1,
}


def as_lists(arrays):
    """Return arrays as the JSON has them; strings are text."""
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(values).tolist() if values.dtype.kind == "O" else values
        for name, values in arrays.items()
    }


def assert_columns(columns, expected):
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        if isinstance(values, list):
            assert columns[name] == values, name
        else:
            np.testing.assert_allclose(columns[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("signature", CASES)
def test_rows_and_columns_equal_the_outputs_over_grpc(server, signature):
    expected = as_lists(server.predict(signature, **CASES[signature]))
    single = len(expected) == 1

    status, content = server.http(PREDICT, {"signature_name": signature, "inputs": CASES[signature]})
    assert (status, content.keys()) == (200, {"outputs"})
    columns = {next(iter(expected)): content["outputs"]} if single else content["outputs"]
    assert_columns(columns, expected)

    status, content = server.http(PREDICT, {"signature_name": signature, "instances": rows_of(CASES[signature])})
    assert (status, content.keys()) == (200, {"predictions"})
    rows = content["predictions"]
    if not single:
        assert {frozenset(row) for row in rows} == {frozenset(expected)}
    columns = {name: rows if single else [row[name] for row in rows] for name in expected}
    assert_columns(columns, expected)


def test_a_single_input_may_be_bare(server):
    ids = CASES["embed_items"]["item_ids"]
    expected = server.predict("embed_items", item_ids=ids)["embeddings"]
    for key, response_key in {"instances": "predictions", "inputs": "outputs"}.items():
        status, content = server.http(PREDICT, {"signature_name": "embed_items", key: ids})
        assert status == 200
        np.testing.assert_allclose(content[response_key], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("path", PATHS)
def test_versions_and_labels_of_the_path_select_the_recommender(server, models, path):
    status, content = server.http(f"{path}:predict", {"instances": ROWS})
    assert status == 200
    users, histories, exclude = COLUMNS.values()
    expected = models.recommended(users, histories, exclude=exclude, version=PATHS[path])
    for row, items in zip(content["predictions"], expected, strict=True):
        assert [item for item in row["item_ids"] if item] == [item for item, _, _ in items]
        assert [title for title in row["titles"] if title] == [title for _, title, _ in items]
        np.testing.assert_allclose(row["scores"][: len(items)], [score for *_, score in items], 1e-5, 1e-6)


def test_the_default_signature_is_used_without_a_name(server):
    response = server.http("/v1/models/films:predict", {"instances": ROWS})
    assert response == server.http(PREDICT, {"signature_name": "serving_default", "instances": ROWS})
    assert response == server.http(PREDICT, {"signature_name": "", "instances": ROWS})


def test_strings_in_base64_are_decoded(server):
    encoded = {"user_id": [{"b64": "55So5oi3Mw=="}], "history": [["item1"]], "exclude_item_ids": [[{"b64": ""}]]}
    plain = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[""]]}
    assert server.http(PREDICT, {"inputs": encoded}) == server.http(PREDICT, {"inputs": plain})
    assert server.http(PREDICT, {"inputs": encoded})[0] == 200


def test_escapes_and_utf8_are_equivalent(server):
    escaped, plain = (json.dumps({"instances": ROWS}, ensure_ascii=escape).encode() for escape in (True, False))
    assert escaped != plain
    assert server.http(PREDICT, escaped) == server.http(PREDICT, plain)
    assert server.http(PREDICT, plain)[0] == 200


@pytest.mark.parametrize("path", PATHS)
def test_metadata_equals_that_over_grpc(server, path):
    status, content = server.http(f"{path}/metadata")
    assert status == 200
    assert content["model_spec"] == {"name": "films", "signature_name": "", "version": str(PATHS[path])}
    assert content.keys() == {"model_spec", "metadata"}
    assert content["metadata"].keys() == {"signature_def"}
    expected, parsed = get_model_metadata_pb2.SignatureDefMap(), get_model_metadata_pb2.SignatureDefMap()
    server.metadata("signature_def", name="films", version={"value": PATHS[path]}).metadata["signature_def"].Unpack(
        expected
    )
    assert content["metadata"]["signature_def"]["signature_def"].keys() == set(expected.signature_def)
    assert json_format.ParseDict(content["metadata"]["signature_def"], parsed) == expected
    user = content["metadata"]["signature_def"]["signature_def"]["retrieve"]["inputs"]["user_id"]
    assert user["dtype"] == "DT_STRING"
    assert user["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


def test_metadata_in_capitals_is_a_status_as_in_tf_serving(server):
    assert server.http("/v1/models/films/Metadata") == server.http("/v1/models/films")


def test_the_status_of_all_versions(server):
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    statuses = [{"version": version} | available for version in ("2", "1")]
    assert server.http("/v1/models/films") == (200, {"model_version_status": statuses})


@pytest.mark.parametrize("path", [path for path in PATHS if path.count("/") > 3])
def test_the_status_of_one_version(server, path):
    status, content = server.http(path)
    assert (status, [each["version"] for each in content["model_version_status"]]) == (200, [str(PATHS[path])])


def test_the_status_of_a_model_that_does_not_load(server):
    status, content = server.http("/v1/models/broken")
    (broken,) = content["model_version_status"]
    assert (status, broken["version"], broken["state"]) == (200, "1", "END")
    assert broken["status"]["error_code"] != "OK"
    assert "saved_model.pb" in broken["status"]["error_message"]


def test_a_connection_is_reused_after_an_error(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.connect()
    socket = connection.sock
    bodies = [{"instances": ROWS}, "nonsense", {"inputs": COLUMNS}]
    responses = []
    for body in bodies:
        connection.request("POST", PREDICT, json.dumps(body).encode())
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "application/json"
        responses.append((response.status, json.loads(response.read())))
        assert connection.sock is socket
    connection.close()
    assert [status for status, _ in responses] == [200, 400, 200]
    assert responses == [server.http(PREDICT, body) for body in bodies]


def test_a_chunked_body_is_read(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    text = json.dumps({"instances": ROWS}).encode()
    connection.request("POST", PREDICT, iter([text[:100], text[100:]]), encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == server.http(PREDICT, {"instances": ROWS})
    connection.close()
    assert response.status == 200


def test_many_concurrent_connections_are_accepted(server):
    """More connections than the operating system queues by default."""
    with ThreadPoolExecutor(64) as pool:
        responses = list(pool.map(lambda _: server.http(PREDICT, {"instances": ROWS}), range(640)))
    assert {status for status, _ in responses} == {200}
    assert all(response == responses[0] for response in responses)
