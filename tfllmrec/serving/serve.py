"""Entry point of the model server process: log lines, addresses and shutdown."""

import gc
import logging
import sys
from typing import Any

from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving import session
from tfllmrec.serving.launch import GRPC_LINE, REST_LINE
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.signals import wait_for_signal


def serve(configs: list[Any], *, xla: bool = False, **options: Any) -> None:
    """Serve models until SIGINT or SIGTERM. Print loaded versions and addresses to stdout.

    Args:
        configs: `ModelConfig` messages.
        xla: whether XLA may compile signatures. `tensorflow_model_server` disables XLA by default.
        options: options of `ModelServer`.

    Raises:
        InputError: If `ModelServer` refuses its arguments or cannot load a version.
    """
    if not xla:
        session.disable_xla()
    _log_to_stdout()
    with suppress_stderr():
        server = ModelServer(configs, **options).start()
    wait = wait_for_signal()
    if options.get("credentials"):
        print("--ssl_config_file encrypts gRPC only: REST is unencrypted")
    gc.freeze()  # excludes TensorFlow's objects, which stay alive, from every later collection
    print(GRPC_LINE.format(server.grpc_address))
    print(REST_LINE.format(server.rest_url), flush=True)
    wait()
    server.stop()


def _log_to_stdout() -> None:
    logger = logging.getLogger("tfllmrec")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.setLevel(logging.INFO)
