"""Configuration files of the model server: TF Serving's messages in text format."""

from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format

from tfllmrec.errors import InputError
from tfllmrec_client.messages import declare

METRICS_PATH = "/monitoring/prometheus/metrics"
"""Default path of TF Serving."""
MESSAGES = declare(
    "config",
    {
        "BatchingParameters": {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "thread_pool_name": (5, "StringValue"),
            "allowed_batch_sizes": (6, "repeated int64"),
            "pad_variable_length_inputs": (7, "bool"),
            "enable_large_batch_splitting": (8, "BoolValue"),
            "max_execution_batch_size": (9, "Int64Value"),
        },
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        },
    },
)
"""Messages that tensorflow-serving-api does not contain, by name."""


def read_message(path: Path, message_class: Any) -> Any:
    """Read a message of a protobuf class from a file.

    Raises:
        InputError: If the file cannot be read or parsed, with the words of TF Serving.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message_class())
    except OSError as error:
        raise InputError(f"{path}; {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        name = f"tensorflow.serving.{message_class.DESCRIPTOR.name}"
        raise InputError(f"Invalid protobuf file: '{path}': Error parsing text-format {name}: {error}") from error


def server_credentials(path: Path) -> grpc.ServerCredentials:
    """Read the credentials of the gRPC server from an `SSLConfig`. Its values are PEM texts, as in TF Serving.

    Raises:
        InputError: If the file cannot be read or parsed, the key or the certificate is missing, or `client_verify` is
            set without `custom_ca`.
    """
    config = read_message(path, MESSAGES["SSLConfig"])
    if not config.server_key or not config.server_cert:
        raise InputError(f"{path}: give server_key and server_cert, each as PEM text")
    if config.client_verify and not config.custom_ca:
        raise InputError(f"{path}: client_verify needs custom_ca, the authority that signs client certificates")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        config.client_verify,
    )


def metrics_path(path: Path) -> str:
    """Return the path of the metrics that a `MonitoringConfig` sets; "" if it disables Prometheus.

    Raises:
        InputError: If the file cannot be read or parsed, or the path does not start with a slash.
    """
    config = read_message(path, MESSAGES["MonitoringConfig"]).prometheus_config
    if not config.enable:
        return ""
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the path of prometheus_config must start with a slash, not be {config.path!r}")
    return config.path or METRICS_PATH
