"""Configuration files of a model server, read and written as protobuf text."""

import os
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfllmrec.export.target import Target
from tfllmrec.serving.config_files import MESSAGES, METRICS_PATH
from tfllmrec.serving.configuration import read_config

MODELS, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"
_MAX_ROWS = 1024
"""Rows of the largest request; the server splits it into batches."""


def write_defaults(folder: Path, target: Target) -> None:
    """Write the batching and monitoring configurations; existing files stay unchanged."""
    batching = MESSAGES["BatchingParameters"](
        max_batch_size={"value": _MAX_ROWS},
        batch_timeout_micros={"value": 1000},
        max_enqueued_batches={"value": 100},
        allowed_batch_sizes=target.batch_sizes,
        pad_variable_length_inputs=True,
        enable_large_batch_splitting={"value": True},
        max_execution_batch_size={"value": target.batch_sizes[-1]},
    )
    metrics = MESSAGES["MonitoringConfig"](prometheus_config={"enable": True, "path": METRICS_PATH})
    for name, message in ((BATCHING, batching), (MONITORING, metrics)):
        if not (folder / name).exists():
            _write_atomically(folder / name, message)


def read_labels(folder: Path, model: str) -> dict[str, int]:
    """Return the versions of a model by label; empty if the model is not served."""
    return next((dict(config.version_labels) for config in _read_configs(folder) if config.name == model), {})


def served_versions(folder: Path) -> list[Path]:
    """Return the folders of all versions with a label, of all models."""
    return [
        Path(config.base_path) / str(number)
        for config in _read_configs(folder)
        for number in config.version_labels.values()
    ]


def write_labels(folder: Path, model: str, labels: dict[str, int]) -> None:
    """Serve exactly the versions of a model that have a label; other models and settings stay unchanged."""
    configs = _read_configs(folder)
    config = next((config for config in configs if config.name == model), None)
    if config is None:
        base_path = str(folder / model)
        config = model_server_config_pb2.ModelConfig(name=model, base_path=base_path, model_platform="tensorflow")
        configs.append(config)
    config.version_labels.clear()
    config.version_labels.update(labels)
    served = {"versions": sorted(set(labels.values()))}
    config.model_version_policy.CopyFrom(type(config.model_version_policy)(specific=served))
    _write_atomically(folder / MODELS, model_server_config_pb2.ModelServerConfig(model_config_list={"config": configs}))


def _read_configs(folder: Path) -> list[Any]:
    return read_config(folder / MODELS) if (folder / MODELS).exists() else []


def _write_atomically(path: Path, message: Any) -> None:
    """Replace a file atomically: a polling server reads the old or the new text."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(message, as_utf8=True))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
