"""Commands that export a run and serve it."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import RunFolder, app
from tfllmrec.errors import InputError
from tfllmrec.serving.limits import Limits


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="EXPORT", help="TF Serving's model base path.")],
    version: Annotated[int | None, typer.Option(help="By default the next one.")] = None,
    top_k: Annotated[int, typer.Option(help="Items in an answer.")] = 100,
    target: Annotated[str, typer.Option(help="cpu, gpu or tpu: where TF Serving is to run.")] = "cpu",
    precision: Annotated[
        str | None,
        typer.Option(
            help="bfloat16 stores large matrices in half the room, and has BERT compute in it; int8 item vectors in a "
            "quarter as well; float32 is the default but for a TPU.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str, typer.Option(help="exact, or scann for millions of items, with a TF Serving that was built with ScaNN.")
    ] = "exact",
) -> None:
    """Write a run as the next version of a model, for TF Serving, and publish it in the folder that the model is in."""
    from tfllmrec.cli.versions import published
    from tfllmrec.export import export as write
    from tfllmrec.export.target import target_named
    from tfllmrec.training.runs import Run

    loaded = Run.load(run)
    rounded = target_named(target).precision_or_default(precision) != "float32"
    published(
        write(
            loaded.recommender,
            out,
            version=version,
            top_k=top_k,
            target=target,
            precision=precision,
            index=index,
            validation=loaded.source.split()[1].validation if rounded and not loaded.refitted else None,
            facts=loaded.facts(),
        )
    )


@app.command()
def refresh(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="EXPORT", help="TF Serving's model base path, with a version.")],
    items: Annotated[Path, typer.Option(metavar="FOLDER", help="Where a table of items is, with new ones.")],
) -> None:
    """Add new items to what is served, as the next version and with no training: they are known by their content."""
    from tfllmrec.cli.versions import published
    from tfllmrec.data.table_files import read_items
    from tfllmrec.export import refresh as write
    from tfllmrec.training.runs import Run

    table = read_items(items)
    published(write(Run.load(run).recommender, folder, table))


@app.command()
def serve(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help="A model's folder, written by `export`.", show_default=False),
    ] = None,
    model_name: Annotated[str, typer.Option("--model_name", help="By default the folder's name.")] = "",
    model_base_path: Annotated[Path | None, typer.Option("--model_base_path", help="The same as EXPORT.")] = None,
    model_config_file: Annotated[
        Path | None, typer.Option("--model_config_file", help="Text of a ModelServerConfig: several models, versions.")
    ] = None,
    ssl_config_file: Annotated[
        Path | None, typer.Option("--ssl_config_file", help="Text of an SSLConfig: encryption of gRPC.")
    ] = None,
    grpc_socket_path: Annotated[
        str, typer.Option("--grpc_socket_path", help="A Unix socket for gRPC as well.", show_default=False)
    ] = "",
    monitoring_config_file: Annotated[
        Path | None,
        typer.Option("--monitoring_config_file", help="Text of a MonitoringConfig, for Prometheus."),
    ] = None,
    recommendation_log_file: Annotated[
        Path | None,
        typer.Option("--recommendation_log_file", help="Log of served recommendations, which `monitor` reads."),
    ] = None,
    recommendation_log_key_file: Annotated[
        Path | None,
        typer.Option("--recommendation_log_key_file", help="Its pseudonym key; default: TFLLMREC_PSEUDONYM_KEY."),
    ] = None,
    recommendation_log_sampling_rate: Annotated[
        float, typer.Option("--recommendation_log_sampling_rate", help="Share of users in the log.")
    ] = 0.01,
    file_system_poll_wait_seconds: Annotated[
        int, typer.Option("--file_system_poll_wait_seconds", min=0, help="How often to look for versions; 0 for once.")
    ] = 1,
    model_config_file_poll_wait_seconds: Annotated[
        int, typer.Option("--model_config_file_poll_wait_seconds", min=0, help="How often to read it; 0 for once.")
    ] = 0,
    xla_cpu_compilation_enabled: Annotated[
        bool, typer.Option("--xla_cpu_compilation_enabled", help="Let XLA compile, for exports made for a GPU.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="Where to listen; 0.0.0.0 for everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="For gRPC; 0 takes a free one.")] = 8500,
    rest_api_port: Annotated[
        int, typer.Option("--rest_api_port", min=0, max=65535, help="For REST; 0 takes a free one.")
    ] = 8501,
    enable_batching: Annotated[
        bool, typer.Option("--enable_batching", help="Join requests that wait together.")
    ] = False,
    batching_parameters_file: Annotated[
        Path | None, typer.Option("--batching_parameters_file", help="Text of a BatchingParameters message.")
    ] = None,
    grpc_max_threads: Annotated[
        int, typer.Option("--grpc_max_threads", min=0, help="Requests at once; 0 is 4 a core, 64 with batching.")
    ] = Limits.grpc_max_threads,
    rest_api_num_threads: Annotated[
        int, typer.Option("--rest_api_num_threads", min=0, help="The same for REST.")
    ] = Limits.rest_api_num_threads,
    max_waiting_requests: Annotated[
        int, typer.Option("--max_waiting_requests", min=1, help="More that may wait, on either; the next is refused.")
    ] = Limits.max_waiting_requests,
    grpc_channel_arguments: Annotated[
        str,
        typer.Option(
            "--grpc_channel_arguments",
            metavar="NAME=VALUE,...",
            help="For gRPC's server; grpc.max_receive_message_length is 64 MiB unless given.",
            show_default=False,
        ),
    ] = "",
    rest_api_max_body_bytes: Annotated[
        int, typer.Option("--rest_api_max_body_bytes", min=1, help="The largest body.")
    ] = Limits.rest_api_max_body_bytes,
    rest_api_timeout_in_ms: Annotated[
        int, typer.Option("--rest_api_timeout_in_ms", min=1, help="For sending a request, and for taking an answer.")
    ] = Limits.rest_api_timeout_in_ms,
) -> None:
    """Serve exports over gRPC and REST, as tensorflow_model_server does; for one machine."""
    if sum(place is not None for place in (folder, model_base_path, model_config_file)) != 1:
        raise InputError("serve: give either the folder of an export, or --model_base_path, or --model_config_file")
    if batching_parameters_file and not enable_batching:
        raise InputError("serve: --batching_parameters_file needs --enable_batching")
    if recommendation_log_key_file and not recommendation_log_file:
        raise InputError("serve: --recommendation_log_key_file needs --recommendation_log_file")

    from tfllmrec.data.pseudonymisation import read_key
    from tfllmrec.serving.batching_parameters import BatchingParameters
    from tfllmrec.serving.configuration import one_model, read_config
    from tfllmrec.serving.limits import channel_arguments
    from tfllmrec.serving.prometheus_config import metrics_path
    from tfllmrec.serving.recommendation_log import RecommendationLog
    from tfllmrec.serving.serve import serve as answer
    from tfllmrec.serving.ssl_config import server_credentials

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
    answer(
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
        metrics_path=metrics_path(monitoring_config_file) if monitoring_config_file else "",
        recommendation_log=recommendation_log,
        file_system_poll_wait_seconds=file_system_poll_wait_seconds,
        model_config_file_poll_wait_seconds=model_config_file_poll_wait_seconds,
    )
