"""Path of the Prometheus metrics: the file of `--monitoring_config_file`."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.serving.text_files import read_message
from tfllmrec_client.messages import declare

METRICS_PATH = "/monitoring/prometheus/metrics"
"""Default path of TF Serving."""
MonitoringConfigProto = declare(
    "monitoring",  # tensorflow-serving-api does not contain this message
    {
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    },
)["MonitoringConfig"]


def metrics_path(path: Path) -> str:
    """Return the metrics path that a `MonitoringConfig` in text format sets; "" if it disables Prometheus.

    Raises:
        InputError: If the file cannot be read or parsed, or the path does not start with a slash.
    """
    config = read_message(path, MonitoringConfigProto).prometheus_config
    if not config.enable:
        return ""
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the path of prometheus_config must start with a slash, not be {config.path!r}")
    return config.path or METRICS_PATH
