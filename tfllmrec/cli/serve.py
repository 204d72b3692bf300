"""Command that serves exported models, with the flags of tensorflow_model_server."""

from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from tfllmrec.cli.app import app, stage
from tfllmrec.errors import InputError
from tfllmrec.serving.limits import Limits
from tfllmrec_client.version import __version__


class _ServerCommand(TyperCommand):
    """Command that also accepts `--flag=true` and `--flag=false`. The last value of a flag counts."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # a vendored Click
        """Parse the arguments without the values of boolean flags."""
        flags = {name for parameter in self.params if getattr(parameter, "is_flag", False) for name in parameter.opts}
        enabled, others = {}, []
        for argument in args:
            name, equals, value = argument.partition("=")
            if name in flags and (not equals or value in ("true", "false")):
                enabled[name] = value != "false"
            else:
                others.append(argument)
        return super().parse_args(ctx, [*(name for name, value in enabled.items() if value), *others])


def _print_version(requested: bool) -> None:
    if requested:
        print(f"TensorFlow ModelServer: tfllmrec {__version__}\nTensorFlow Library: {version_of('tensorflow')}")
        raise typer.Exit


@app.command(cls=_ServerCommand)
def serve(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help="Base path of a model, written by `export`.", show_default=False),
    ] = None,
    model_name: Annotated[str, typer.Option("--model_name", metavar="NAME", help="Default: name of the folder.")] = "",
    model_base_path: Annotated[
        Path | None, typer.Option("--model_base_path", metavar="FOLDER", help="Same as EXPORT.")
    ] = None,
    model_config_file: Annotated[
        Path | None,
        typer.Option(
            "--model_config_file",
            metavar="FILE",
            help="ModelServerConfig text: several models, version policies, labels.",
        ),
    ] = None,
    ssl_config_file: Annotated[
        Path | None,
        typer.Option("--ssl_config_file", metavar="FILE", help="SSLConfig text: TLS for gRPC."),
    ] = None,
    enable_grpc_healthcheck_service: Annotated[
        bool, typer.Option("--enable_grpc_healthcheck_service", help="Enable gRPC's health service.")
    ] = False,
    grpc_socket_path: Annotated[
        str, typer.Option("--grpc_socket_path", metavar="FILE", help="Additional Unix socket for gRPC.")
    ] = "",
    monitoring_config_file: Annotated[
        Path | None,
        typer.Option("--monitoring_config_file", metavar="FILE", help="MonitoringConfig text: metrics for Prometheus."),
    ] = None,
    recommendation_log_file: Annotated[
        Path | None,
        typer.Option("--recommendation_log_file", metavar="FILE", help="Recommendation log to write, for `monitor`."),
    ] = None,
    recommendation_log_key_file: Annotated[
        Path | None,
        typer.Option(
            "--recommendation_log_key_file",
            metavar="FILE",
            help="Pseudonym key of the log; default: TFLLMREC_PSEUDONYM_KEY.",
        ),
    ] = None,
    recommendation_log_sampling_rate: Annotated[
        float, typer.Option("--recommendation_log_sampling_rate", metavar="SHARE", help="Share of the users to log.")
    ] = 0.01,
    file_system_poll_wait_seconds: Annotated[
        int,
        typer.Option(
            "--file_system_poll_wait_seconds", metavar="N", min=0, help="Interval of looking for versions; 0: once."
        ),
    ] = 1,
    model_config_file_poll_wait_seconds: Annotated[
        int,
        typer.Option(
            "--model_config_file_poll_wait_seconds",
            metavar="N",
            min=0,
            help="Interval of reading --model_config_file; 0: once.",
        ),
    ] = 0,
    max_num_load_retries: Annotated[
        int,
        typer.Option(
            "--max_num_load_retries", metavar="N", min=0, help="Further attempts to load a version that fails to load."
        ),
    ] = 5,
    load_retry_interval_micros: Annotated[
        int,
        typer.Option("--load_retry_interval_micros", metavar="N", help="Interval of these attempts; negative: none."),
    ] = 60_000_000,
    allow_version_labels_for_unavailable_models: Annotated[
        bool,
        typer.Option(
            "--allow_version_labels_for_unavailable_models", help="Accept new labels of versions that do not exist yet."
        ),
    ] = False,
    saved_model_tags: Annotated[
        str, typer.Option("--saved_model_tags", metavar="TAG,...", help="Tags of the graph to load from a SavedModel.")
    ] = "serve",
    tensorflow_inter_op_parallelism: Annotated[
        int,
        typer.Option(
            "--tensorflow_inter_op_parallelism",
            metavar="N",
            min=0,
            help="Operations of a request that run concurrently; 0: one after the other.",
        ),
    ] = 0,
    tensorflow_intra_op_parallelism: Annotated[
        int,
        typer.Option(
            "--tensorflow_intra_op_parallelism", metavar="N", min=0, help="Threads of an operation; 0: one per core."
        ),
    ] = 0,
    xla_cpu_compilation_enabled: Annotated[
        bool,
        typer.Option(
            "--xla_cpu_compilation_enabled",
            "--xla_gpu_compilation_enabled",
            help="Enable XLA, which exports for a GPU need.",
        ),
    ] = False,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; 0.0.0.0: all interfaces.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port for gRPC; 0: any free port.")
    ] = 8500,
    rest_api_port: Annotated[
        int, typer.Option("--rest_api_port", metavar="N", min=0, max=65535, help="Port for REST; 0: any free port.")
    ] = 8501,
    enable_batching: Annotated[
        bool, typer.Option("--enable_batching", help="Run waiting requests together in batches.")
    ] = False,
    batching_parameters_file: Annotated[
        Path | None,
        typer.Option("--batching_parameters_file", metavar="FILE", help="BatchingParameters text."),
    ] = None,
    grpc_max_threads: Annotated[
        int,
        typer.Option(
            "--grpc_max_threads",
            metavar="N",
            min=0,
            help="Concurrent gRPC requests; 0: 4 per core, 64 with batching.",
        ),
    ] = Limits.grpc_max_threads,
    rest_api_num_threads: Annotated[
        int,
        typer.Option("--rest_api_num_threads", metavar="N", min=0, help="Concurrent REST requests; 0: as for gRPC."),
    ] = Limits.rest_api_num_threads,
    max_waiting_requests: Annotated[
        int,
        typer.Option("--max_waiting_requests", metavar="N", min=1, help="Requests that may wait, per interface."),
    ] = Limits.max_waiting_requests,
    rest_api_enable_cors_support: Annotated[
        bool, typer.Option("--rest_api_enable_cors_support", help="Let web pages of other origins read REST responses.")
    ] = False,
    grpc_channel_arguments: Annotated[
        str,
        typer.Option(
            "--grpc_channel_arguments",
            metavar="NAME=VALUE,...",
            help="Arguments of the gRPC server; default: grpc.max_receive_message_length=67108864.",
            show_default=False,
        ),
    ] = "",
    rest_api_max_body_bytes: Annotated[
        int,
        typer.Option("--rest_api_max_body_bytes", metavar="N", min=1, help="Maximum size of a REST request body."),
    ] = Limits.rest_api_max_body_bytes,
    rest_api_timeout_in_ms: Annotated[
        int,
        typer.Option(
            "--rest_api_timeout_in_ms",
            metavar="N",
            min=1,
            help="Time for a REST request to arrive and run, and for a client to read the response.",
        ),
    ] = Limits.rest_api_timeout_in_ms,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the server's version and exit."),
    ] = False,
) -> None:
    """Serve exported models over gRPC and REST.

    The flags and the interface are those of tensorflow_model_server. Intended for development and a single machine.
    """
    if model_config_file:
        model_base_path = None  # ignored, as in TF Serving
    if sum(path is not None for path in (folder, model_base_path, model_config_file)) != 1:
        raise InputError("serve: give either the folder of an export, or --model_base_path, or --model_config_file")
    if batching_parameters_file and not enable_batching:
        raise InputError("serve: --batching_parameters_file needs --enable_batching")
    if recommendation_log_key_file and not recommendation_log_file:
        raise InputError("serve: --recommendation_log_key_file needs --recommendation_log_file")

    with stage("Loading TensorFlow"):
        from tfllmrec.data.pseudonymisation import read_key
        from tfllmrec.monitoring.recommendation_log import RecommendationLog
        from tfllmrec.serving.batching_parameters import BatchingParameters
        from tfllmrec.serving.config_files import metrics_path, server_credentials
        from tfllmrec.serving.configuration import one_model, read_config
        from tfllmrec.serving.limits import channel_arguments
        from tfllmrec.serving.serve import serve as run_server

    if model_config_file:
        configs = read_config(model_config_file)
    elif base_path := folder or model_base_path:
        configs = one_model(model_name or base_path.absolute().name, base_path)
    batching = None
    if enable_batching:
        batching = (
            BatchingParameters.from_file(batching_parameters_file) if batching_parameters_file else BatchingParameters()
        )
    recommendation_log = None
    if recommendation_log_file:
        key = read_key(recommendation_log_key_file)
        recommendation_log = RecommendationLog(recommendation_log_file, key, recommendation_log_sampling_rate)
    limits = Limits(
        grpc_max_threads=grpc_max_threads,
        rest_api_num_threads=rest_api_num_threads,
        max_waiting_requests=max_waiting_requests,
        grpc_channel_arguments=channel_arguments(grpc_channel_arguments),
        rest_api_max_body_bytes=rest_api_max_body_bytes,
        rest_api_timeout_in_ms=rest_api_timeout_in_ms,
    )
    run_server(
        configs,
        xla=xla_cpu_compilation_enabled,
        host=host,
        port=port,
        rest_api_port=rest_api_port,
        batching=batching,
        limits=limits,
        model_config_file=model_config_file,
        credentials=server_credentials(ssl_config_file) if ssl_config_file else None,
        grpc_socket_path=grpc_socket_path,
        enable_grpc_healthcheck_service=enable_grpc_healthcheck_service,
        metrics_path=metrics_path(monitoring_config_file) if monitoring_config_file else "",
        rest_api_enable_cors_support=rest_api_enable_cors_support,
        recommendation_log=recommendation_log,
        file_system_poll_wait_seconds=file_system_poll_wait_seconds,
        model_config_file_poll_wait_seconds=model_config_file_poll_wait_seconds,
        max_num_load_retries=max_num_load_retries,
        load_retry_interval_micros=load_retry_interval_micros,
        allow_version_labels_for_unavailable_models=allow_version_labels_for_unavailable_models,
        saved_model_tags=saved_model_tags.split(","),
        tensorflow_inter_op_parallelism=tensorflow_inter_op_parallelism,
        tensorflow_intra_op_parallelism=tensorflow_intra_op_parallelism,
    )
