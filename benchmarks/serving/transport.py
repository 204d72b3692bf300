"""A Python gRPC server that returns the same bytes for every request: the cost of gRPC alone."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import grpc

from benchmarks.serving.load import PREDICT


class _ConstantHandler(grpc.GenericRpcHandler):
    def __init__(self, response: bytes) -> None:
        self._response = response

    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._response)


@contextmanager
def constant_server(response: bytes) -> Iterator[Callable[[bytes], bytes]]:
    """Start such a server in a separate process until the end of the block, and yield a method that queries it."""
    processes = multiprocessing.get_context("spawn")
    port_receiver, port_sender = processes.Pipe(duplex=False)
    server = processes.Process(target=_serve, args=(response, port_sender), daemon=True)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port_receiver.recv()}") as channel:
            yield channel.unary_unary(PREDICT)
    finally:
        server.kill()
        server.join()


def _serve(response: bytes, port_sender: Connection) -> None:
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_ConstantHandler(response)])
    port_sender.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()
