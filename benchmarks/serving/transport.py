"""What gRPC alone takes: a server in Python that answers every request with the same bytes."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import grpc

from benchmarks.serving.load import PREDICT


class _Same(grpc.GenericRpcHandler):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer)


@contextmanager
def answering(answer: bytes) -> Iterator[Callable[[bytes], bytes]]:
    """A method of such a server, in a process of its own that ends with the block."""
    processes = multiprocessing.get_context("spawn")
    listen, tell = processes.Pipe(duplex=False)
    server = processes.Process(target=_serve, args=(answer, tell), daemon=True)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{listen.recv()}") as channel:
            yield channel.unary_unary(PREDICT)
    finally:
        server.kill()
        server.join()


def _serve(answer: bytes, tell: Connection) -> None:
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_Same(answer)])
    tell.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()
