"""Embedded model server: models behind gRPC and REST on one machine, for development and tests."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc

from tfllmrec.errors import InputError
from tfllmrec.export.target import SERVE
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import read_config
from tfllmrec.serving.core import ResponseLog, ServerCore
from tfllmrec.serving.grpc_server import GrpcServer
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.models import Models
from tfllmrec.serving.polling import PeriodicTask
from tfllmrec.serving.rest_server import RestServer
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.version import Loader

_GRACE_SECONDS = 10.0
"""Time that running requests have when the server stops."""
_THREADS = 4 * (os.cpu_count() or 1)
_BATCHING_THREADS = 64
"""Each request that waits for a batch occupies a thread."""


class ModelServer:
    """Model server with TF Serving's messages, paths and error codes over gRPC and REST.

    The constructor binds the ports before it loads models, so that a port in use is reported at once. The server
    responds after `start`. A version that does not load is reported by its status, and the others are served. A model
    without versions waits for its first one.

    Args:
        configs: `ModelConfig` messages, from `one_model` or `read_config`.
        host: address to listen on.
        port: gRPC port; 0 for a free one.
        rest_api_port: REST port; 0 for a free one.
        batching: parameters of dynamic batching; None runs each request alone.
        limits: size, number and duration of requests; None for the defaults.
        model_config_file: file of `configs`, for polling.
        credentials: TLS credentials of gRPC; None for no encryption.
        grpc_socket_path: Unix socket for gRPC as well; "" for none.
        enable_grpc_healthcheck_service: whether gRPC's health service responds.
        metrics_path: REST path of the Prometheus metrics; "" disables them.
        rest_api_enable_cors_support: whether web pages of other origins may read REST responses.
        recommendation_log: logs served recommendations and is closed with the server; None logs nothing.
        file_system_poll_wait_seconds: interval between two searches for new versions; 0 disables them.
        model_config_file_poll_wait_seconds: interval between two readings of `model_config_file`; 0 disables them.
        max_num_load_retries: maximum number of attempts to load a version again while its files do not change.
        load_retry_interval_micros: interval between these attempts.
        allow_version_labels_for_unavailable_models: whether a new label may point to a version that is not available.
        saved_model_tags: tags of the graph to load from a SavedModel.
        tensorflow_inter_op_parallelism: number of operations of a request that run at the same time; 0 for one.
        tensorflow_intra_op_parallelism: number of threads of an operation; 0 for one per core.

    Attributes:
        models: served models.
        grpc_address: "host:port".
        rest_url: "http://host:port".

    Raises:
        InputError: If a port is in use, or there are versions and none can be loaded.
    """

    def __init__(
        self,
        configs: list[Any],
        *,
        host: str = "127.0.0.1",
        port: int = 8500,
        rest_api_port: int = 8501,
        batching: BatchingParameters | None = None,
        limits: Limits | None = None,
        model_config_file: Path | None = None,
        credentials: grpc.ServerCredentials | None = None,
        grpc_socket_path: str = "",
        enable_grpc_healthcheck_service: bool = False,
        metrics_path: str = "",
        rest_api_enable_cors_support: bool = False,
        recommendation_log: ResponseLog | None = None,
        file_system_poll_wait_seconds: float = 1,
        model_config_file_poll_wait_seconds: float = 0,
        max_num_load_retries: int = Loader().max_num_load_retries,
        load_retry_interval_micros: int = Loader().load_retry_interval_micros,
        allow_version_labels_for_unavailable_models: bool = False,
        saved_model_tags: Sequence[str] = (SERVE,),
        tensorflow_inter_op_parallelism: int = 0,
        tensorflow_intra_op_parallelism: int = 0,
    ) -> None:
        threads, limits = _BATCHING_THREADS if batching else _THREADS, limits or Limits()
        self._grpc = GrpcServer(host, port, limits.grpc_max_threads or threads, credentials, grpc_socket_path, limits)
        self._rest = RestServer(host, rest_api_port, limits.rest_api_num_threads or threads, limits)
        self.grpc_address = f"{host}:{self._grpc.port}"
        self.rest_url = f"http://{host}:{self._rest.port}"
        try:
            self.models = Models(
                configs,
                Loader(
                    partial(
                        ServedModel,
                        tags=saved_model_tags,
                        inter_op_parallelism=tensorflow_inter_op_parallelism,
                        intra_op_parallelism=tensorflow_intra_op_parallelism,
                    ),
                    max_num_load_retries,
                    load_retry_interval_micros,
                ),
                allow_unavailable_labels=allow_version_labels_for_unavailable_models,
            )
            errors = [version.error for _, _, version in self.models]
            if errors and all(errors):
                raise InputError("; ".join(errors))
        except BaseException:
            self._stop_listening(0)
            raise
        self._core = ServerCore(self.models, Batcher(batching) if batching else None, recommendation_log)
        self._metrics_path, self._enable_cors = metrics_path, rest_api_enable_cors_support
        self._enable_health = enable_grpc_healthcheck_service
        self._tasks = []
        if file_system_poll_wait_seconds:
            self._tasks.append(PeriodicTask(file_system_poll_wait_seconds, self.models.update))
        if model_config_file and model_config_file_poll_wait_seconds:
            reload = partial(self._reload, model_config_file)
            self._tasks.append(PeriodicTask(model_config_file_poll_wait_seconds, reload))

    def start(self) -> Self:
        """Start to respond to requests, in background threads."""
        self._grpc.start(self._core, self._enable_health)
        self._rest.start(self._core, self._metrics_path, enable_cors=self._enable_cors)
        for task in self._tasks:
            task.start()
        return self

    def stop(self, grace: float = _GRACE_SECONDS) -> None:
        """Refuse new requests, wait up to `grace` seconds for running ones, and unload the models."""
        for task in self._tasks:
            task.stop()
        self._stop_listening(grace)
        self._core.close()

    def _reload(self, model_config_file: Path) -> None:
        self.models.update(read_config(model_config_file))

    def _stop_listening(self, grace: float) -> None:
        self._grpc.stop(grace)
        self._rest.stop(grace)
