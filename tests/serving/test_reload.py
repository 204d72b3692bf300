"""HandleReloadConfigRequest: a running server applies another configuration or refuses it."""

import grpc
import pytest
from served_models import config_text

CANARY = 'version_labels { key: "canary" value: 2 }'
FILMS = 'name: "films" base_path: "/nowhere" model_platform: "tensorflow"'


@pytest.mark.parametrize("change", ["unchanged", "label removed"])
def test_a_configuration_is_applied(server, server_config, reload_config, change):
    text = config_text(server_config)
    without_canary = text.replace(CANARY, "")
    assert without_canary != text
    spec = {"name": "films", "version_label": "canary"}
    try:
        reload_config(without_canary if change == "label removed" else text)
        if change == "unchanged":
            assert [status.version for status in server.status(**spec).model_version_status] == [2]
        else:
            with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: canary"):
                server.status(**spec)
    finally:
        reload_config(text)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (
            "",
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported",
        ),
        ("model_config_list {}", "INVALID_ARGUMENT", "at least one model"),
        (
            f"model_config_list {{ config {{ {FILMS} }} config {{ {FILMS} }} }}",
            "INVALID_ARGUMENT",
            "Illegal to list model films multiple times in config list",
        ),
        (
            f"model_config_list {{ config {{ {FILMS.replace('/nowhere', 'films')} }} }}",
            "INVALID_ARGUMENT",
            "Expected model films to have an absolute path or URI; got base_path()=films",
        ),
        (
            f"model_config_list {{ config {{ {FILMS.replace('tensorflow', 'other')} }} }}",
            "INVALID_ARGUMENT",
            "Model films requests unsupported platform other",
        ),
        (
            f"model_config_list {{ config {{ {FILMS.partition(' model_')[0]} }} }}",
            "INVALID_ARGUMENT",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            "model name is films",
        ),
        (f"model_config_list {{ config {{ {FILMS} }} }}", "FAILED_PRECONDITION", "No versions of servable films"),
    ],
)
def test_an_invalid_configuration_is_refused(reload_config, assert_refused, text, code, words):
    assert_refused(grpc.StatusCode[code], lambda: reload_config(text), words)
