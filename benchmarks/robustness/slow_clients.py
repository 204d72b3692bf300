"""Failed requests while some clients are slow or disconnect.

    python -m benchmarks.robustness.slow_clients [--record] [--seconds 60]

A small two-tower is served by a separate process. 32 REST clients, each with its own connection, and 32 gRPC clients
send requests one after the other. 5 % of the REST requests come from clients that send their body slowly, disconnect
within it, or disconnect before the response; 5 % of the gRPC requests are canceled. Prints one JSON line: the number
of requests of each kind, of failed requests among the others, and their latency in milliseconds. Target: no failed
request.
"""

import http.client
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import grpc
import numpy as np

from benchmarks.common import benchmark_parser, report
from benchmarks.robustness.malformed import PATH, SPEC, http_request, json_body, random_inputs
from benchmarks.serving.load import PREDICT, serialized_request
from benchmarks.serving.small_server import small_server

CLIENTS, SHARE = 32, 0.05
SLOW_PIECES, SLOW_SECONDS = 5, 0.2
KINDS = ("slow", "disconnected in the body", "disconnected before the response")


class Count:
    """Number of requests by kind, failures of normal requests, and their latencies in seconds."""

    def __init__(self) -> None:
        self.kinds, self.failures, self.latencies = Counter[str](), list[str](), list[float]()

    def summary(self) -> dict[str, object]:
        """Return the counts and percentiles for the report."""
        p50, p99 = np.percentile(self.latencies, [50, 99]) * 1e3
        failures = {"failed": len(self.failures), "examples": self.failures[:3]}
        return {"requests": dict(self.kinds)} | failures | {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}


def misbehave(address: tuple[str, int], content: bytes, kind: str) -> None:
    """Send a request slowly and read its response, or disconnect."""
    with socket.create_connection(address, 60) as connection:
        if kind == KINDS[1]:
            connection.sendall(content[: len(content) - 10])
            return
        if kind == KINDS[0]:
            for piece in np.array_split(np.frombuffer(content, np.uint8), SLOW_PIECES):
                connection.sendall(piece.tobytes())
                time.sleep(SLOW_SECONDS)
            connection.recv(2**16)
            return
        connection.sendall(content)


def rest_client(url: str, seed: int, until: float, count: Count) -> None:
    """Send requests over one connection, some of them badly over another one, until a time."""
    random, parts = np.random.default_rng(seed), urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 0))
    connection = http.client.HTTPConnection(*address, timeout=60)
    while time.perf_counter() < until:
        body = json.dumps(json_body(random_inputs(random))).encode()
        if random.random() < SHARE:
            kind = KINDS[random.integers(len(KINDS))]
            count.kinds[kind] += 1
            misbehave(address, http_request(body), kind)
            continue
        count.kinds["normal"] += 1
        started = time.perf_counter()
        try:
            connection.request("POST", PATH, body)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                count.failures.append(content.decode())
        except (OSError, http.client.HTTPException) as error:
            count.failures.append(repr(error))
            connection.close()
        count.latencies.append(time.perf_counter() - started)
    connection.close()


def grpc_client(address: str, seed: int, until: float, count: Count) -> None:
    """Send requests one by one, and cancel some of them, until a time."""
    random = np.random.default_rng(seed)
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(PREDICT)
        while time.perf_counter() < until:
            call = method.future(serialized_request(random_inputs(random), **SPEC), timeout=60)
            if random.random() < SHARE:
                count.kinds["canceled"] += 1
                call.cancel()
                continue
            count.kinds["normal"] += 1
            started = time.perf_counter()
            if error := call.exception():
                count.failures.append(str(error))
            count.latencies.append(time.perf_counter() - started)


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the load")
    arguments = parser.parse_args()
    counts = {"rest": Count(), "grpc": Count()}
    with small_server() as server, ThreadPoolExecutor(2 * CLIENTS) as pool:
        until = time.perf_counter() + arguments.seconds
        clients = [
            pool.submit(client, address, seed, until, counts[name])
            for seed in range(CLIENTS)
            for name, client, address in (
                ("rest", rest_client, server.rest_url),
                ("grpc", grpc_client, server.grpc_address),
            )
        ]
        for client in clients:
            client.result()
    result = {name: count.summary() for name, count in counts.items()}
    report({"benchmark": "slow_clients", "clients": CLIENTS} | result, "slow_clients" if arguments.record else None)


if __name__ == "__main__":
    main()
