"""A running server is given another configuration."""

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2


@pytest.mark.parametrize("change", ["the same", "a label less"])
def test_another_configuration(server, config_file, models, change):
    text = config_file.read_text(encoding="utf-8")
    without = text.replace('version_labels { key: "canary" value: 2 }', "")
    assert without != text
    try:
        reload(server, without if change == "a label less" else text)
        spec = {"name": "films", "version_label": "canary"}
        if change == "the same":
            assert [one.version for one in server.status(**spec).model_version_status] == [2]
        else:
            with pytest.raises(grpc.RpcError, match="no version label 'canary'; there are: stable"):
                server.status(**spec)
    finally:
        reload(server, text)


def reload(server, text):
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    request = model_management_pb2.ReloadConfigRequest(config=config)
    server.models.HandleReloadConfigRequest(request, timeout=60)


FILMS = 'name: "films" base_path: "/nowhere" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "INVALID_ARGUMENT", "at least one model"),
        ("model_config_list {}", "INVALID_ARGUMENT", "at least one model"),
        (f"model_config_list {{ config {{ {FILMS} }} config {{ {FILMS} }} }}", "INVALID_ARGUMENT", "listed twice"),
        (f"model_config_list {{ config {{ {FILMS} }} }}", "FAILED_PRECONDITION", "is no export"),
    ],
)
def test_configurations_that_cannot_be(server, refused, text, code, words):
    refused(grpc.StatusCode[code], lambda: reload(server, text), words)
