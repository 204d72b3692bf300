"""Configuration files: errors with TF Serving's words, and the path of the metrics."""

import re

import pytest

from tfllmrec.errors import InputError
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.config_files import metrics_path, server_credentials
from tfllmrec.serving.configuration import read_config

READERS = {
    "BatchingParameters": BatchingParameters.from_file,
    "ModelServerConfig": read_config,
    "MonitoringConfig": metrics_path,
    "SSLConfig": server_credentials,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "server.config"


@pytest.mark.parametrize("content", [b"nonsense", b"model_config_list {", b"unknown: 1", b"\xff\xfe", b"{}"])
@pytest.mark.parametrize("message", READERS)
def test_a_file_that_does_not_parse_is_refused_as_in_tf_serving(path, message, content):
    path.write_bytes(content)
    expected = f"Invalid protobuf file: '{path}': Error parsing text-format tensorflow.serving.{message}: "
    with pytest.raises(InputError, match=f"^{re.escape(expected)}."):
        READERS[message](path)


@pytest.mark.parametrize("message", READERS)
def test_a_missing_file_is_refused_as_in_tf_serving(path, message):
    with pytest.raises(InputError, match=f"^{path}; No such file or directory$"):
        READERS[message](path)
    path.mkdir()
    with pytest.raises(InputError, match=f"^{path}; Is a directory$"):
        READERS[message](path)


@pytest.mark.parametrize(
    "flag", ["--model_config_file", "--monitoring_config_file", "--ssl_config_file", "--batching_parameters_file"]
)
def test_an_invalid_file_ends_the_server_with_one_sentence(run, path, tmp_path, flag):
    path.write_text("nonsense")
    folder = [] if flag == "--model_config_file" else [tmp_path]
    status, output, errors = run("serve", *folder, "--enable_batching", f"{flag}={path}")
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(
        f"tfllmrec: Invalid protobuf file: '{path}': Error parsing text-format tensorflow.serving."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('prometheus_config { enable: true path: "/m" }', "/m"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: false path: "/m" }', ""),
        ("", ""),
    ],
)
def test_the_metrics_path_is_read(path, text, expected):
    path.write_text(text)
    assert metrics_path(path) == expected


def test_a_metrics_path_without_a_slash_is_refused(path):
    path.write_text('prometheus_config { enable: true path: "m" }')
    with pytest.raises(InputError, match="start with a slash"):
        metrics_path(path)
