"""Metrics path of a monitoring configuration."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.serving.prometheus_config import metrics_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('prometheus_config { enable: true path: "/m" }', "/m"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: false path: "/m" }', ""),
        ("", ""),
    ],
)
def test_the_metrics_path_is_read(tmp_path, text, expected):
    path = tmp_path / "monitoring.config"
    path.write_text(text)
    assert metrics_path(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "cannot be read as a text-format MonitoringConfig"),
        ('prometheus_config { enable: true path: "m" }', "start with a slash"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path, text, message):
    path = tmp_path / "monitoring.config"
    with pytest.raises(InputError, match="cannot be read as a text-format MonitoringConfig"):
        metrics_path(path)
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        metrics_path(path)
