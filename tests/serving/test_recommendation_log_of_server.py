"""Recommendation log of a server: its lines by interface, its metrics and its flags."""

import json
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from tfllmrec.data import pseudonyms
from tfllmrec.monitoring.recommendation_log import RecommendationLog
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.server import ModelServer

KEY = b"correct horse battery"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


@pytest.fixture(scope="module")
def logged(films_config, make_stub_client, tmp_path_factory):
    """Return the log of a server with batching, its results over both interfaces, and its metrics."""
    path = tmp_path_factory.mktemp("log") / "served.jsonl"
    films = text_format.Parse(films_config, model_server_config_pb2.ModelConfig())
    ports = {"port": 0, "rest_api_port": 0, "metrics_path": "/metrics"}
    batching = BatchingParameters(pad_variable_length_inputs=True)
    server = ModelServer(
        [films], batching=batching, recommendation_log=RecommendationLog(path, KEY, 1.0), **ports
    ).start()
    try:
        client = make_stub_client(server)
        inputs = {"history": [[""]] * 3, "exclude_item_ids": [["item1"]] * 3}
        by_grpc = client.predict(
            spec={"name": "films", "version_label": "stable"}, user_id=["用户3", "", "stranger 7"], **inputs
        )
        rows = [{"user_id": "用户5", "history": [""], "exclude_item_ids": [""]}]
        by_rest = client.http(
            "/v1/models/films/versions/2:predict", {"signature_name": "retrieve", "instances": rows * 2}
        )
        client.predict("embed_items", item_ids=["item7"])
        similar = client.predict("similar_items", item_id=["item7"], exclude_item_ids=[[""]])
        with urllib.request.urlopen(f"{server.rest_url}/metrics", timeout=60) as response:
            metrics = response.read().decode()
    finally:
        server.stop()
    return SimpleNamespace(
        path=path, by_grpc=by_grpc, by_rest=by_rest[1]["predictions"], similar=similar, metrics=metrics
    )


def test_responses_of_both_interfaces_are_logged_row_by_row(logged):
    logged_lines = lines(logged.path)
    pseudonym = {user: pseudonyms([user], KEY)[0] for user in ("用户3", "用户5", "stranger 7")}
    assert [(line["version"], line["label"], line["signature"], line["user"]) for line in logged_lines] == [
        (1, "stable", "retrieve", pseudonym["用户3"]),
        (1, "stable", "retrieve", ""),
        (1, "stable", "retrieve", pseudonym["stranger 7"]),
        (2, "", "retrieve", pseudonym["用户5"]),
        (2, "", "retrieve", pseudonym["用户5"]),
        (2, "", "similar_items", ""),
    ]
    for line, items, scores in zip(logged_lines, logged.by_grpc["item_ids"], logged.by_grpc["scores"], strict=False):
        assert line["item_ids"] == [item.decode() for item in items if item]
        np.testing.assert_allclose(line["scores"], scores[: len(line["scores"])], rtol=1e-6)
    for line, row in zip(logged_lines[3:5], logged.by_rest, strict=True):
        assert line["item_ids"] == [item for item in row["item_ids"] if item]
        np.testing.assert_allclose(line["scores"], row["scores"][: len(line["scores"])], rtol=1e-6)
    assert logged_lines[5]["item_ids"] == [item.decode() for item in logged.similar["item_ids"][0] if item]


def test_no_user_id_is_logged(logged):
    text = logged.path.read_text(encoding="utf-8")
    assert not [secret for secret in ("用户", "stranger", KEY.decode()) if secret in text]


def test_metrics_have_the_number_of_lists(logged):
    assert ":tfllmrec:serving:recommendation_log_count" in logged.metrics
    assert 'recommendation_log_count{status="dropped"} 0.0' in logged.metrics


def test_the_flags_enable_the_log(run, models, key_file, tmp_path, monkeypatch):
    logs = []
    monkeypatch.setattr(
        "tfllmrec.serving.serve.serve", lambda configs, **options: logs.append(options["recommendation_log"])
    )
    path = tmp_path / "served.jsonl"
    flags = [
        "--recommendation_log_file",
        path,
        "--recommendation_log_key_file",
        key_file,
        "--recommendation_log_sampling_rate",
        1,
    ]
    assert run("serve", models.folder / "films", *flags) == (0, "", "")
    assert run("serve", models.folder / "films") == (0, "", "")
    log, disabled = logs
    spec = model_pb2.ModelSpec(name="films", signature_name="retrieve", version={"value": 3})
    log.add(spec, "", {"user_id": np.array([b"42"], object)}, {"item_ids": np.array([[b"a"]], object)})
    log.close()
    assert (disabled, lines(path)[0]["user"]) == (None, pseudonyms(["42"], key_file.read_bytes())[0])
    status, _, errors = run("serve", models.folder / "films", *flags[2:])
    assert (status, "needs --recommendation_log_file" in errors) == (2, True)


@pytest.mark.usefixtures("no_key_around")
def test_the_log_requires_a_key(run, models, tmp_path):
    status, _, errors = run("serve", models.folder / "films", "--recommendation_log_file", tmp_path / "served.jsonl")
    assert (status, "pseudonyms need a key" in errors) == (2, True)
