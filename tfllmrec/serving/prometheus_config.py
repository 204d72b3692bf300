"""Where a model server shows its metrics: the text file that `--monitoring_config_file` names."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.serving.text_files import read_message
from tfllmrec_client.messages import declare

METRICS_PATH = "/monitoring/prometheus/metrics"
"""Where TF Serving has them unless it is told otherwise."""
MESSAGE = declare(
    "monitoring",  # tensorflow-serving-api does not ship it
    {
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    },
)["MonitoringConfig"]


def metrics_path(path: Path) -> str:
    """The path that a file names for Prometheus; "" where it switches that off.

    Raises:
        InputError: no such file, no such text, or a path that does not start with a slash.
    """
    config = read_message(path, MESSAGE, "monitoring configuration").prometheus_config
    if not config.enable:
        return ""
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the path of prometheus_config must start with a slash, not be {config.path!r}")
    return config.path or METRICS_PATH
