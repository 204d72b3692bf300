"""Responses of a model server to 10,000 malformed requests, and its memory.

    python -m benchmarks.robustness.malformed_requests [--count 10000] [--seed 0]

A small two-tower is served by a separate process that accepts messages and bodies of 4 MiB. Half of the requests are
gRPC, half REST, eight at a time. Their kinds (`malformed.py`) take turns, with one valid request per round. Each
malformed request must get the one correct code of its kind, each valid one the same response, bit by bit, as at the
start.

Prints one JSON line: the codes per kind, the number of wrong responses, the resident memory of the server after every
1,000 requests, and its lines on stderr. Memory is `flat` if it ends at most 5 % above its value after the first 1,000
requests, which start all threads and fill all caches. Target: no wrong response, flat memory. It takes two minutes.
"""

import http.client
import json
import re
import socket
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
import numpy as np

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.robustness.malformed import (
    BODIES,
    LARGEST,
    MESSAGES,
    SPEC,
    Body,
    Message,
    http_request,
    json_body,
    random_inputs,
)
from benchmarks.serving.load import PREDICT, TIMEOUT, serialized_request
from benchmarks.serving.small_server import small_server
from tfllmrec.serving import ServerProcess
from tfllmrec_client.messages import PredictResponse

CONCURRENCY, TURN = 8, 1000
GROWTH = 0.05
VALID = "valid"
BOUNDS = (
    f"--grpc_channel_arguments=grpc.max_receive_message_length={LARGEST}",
    f"--rest_api_max_body_bytes={LARGEST}",
)


class Outcome(NamedTuple):
    """The response to a request."""

    kind: str
    code: str
    correct: bool


class Sender:
    """Sends malformed and valid requests to a server.

    Args:
        server: server of the model `films`.
        seed: seed of all random choices.
    """

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self._seed = seed
        url = urlsplit(server.rest_url)
        self._address = (str(url.hostname), int(url.port or 0))
        self._channel = grpc.insecure_channel(server.grpc_address)
        random = np.random.default_rng(seed)
        self._inputs = [random_inputs(random) for _ in range(50)]
        self._messages = [self._outputs(serialized_request(inputs, **SPEC)) for inputs in self._inputs]
        self._bodies = [self._http(http_request(json_body(inputs))) for inputs in self._inputs]

    def __call__(self, number: int) -> Outcome:
        """Send the request with a number: over gRPC if it is even, else over REST."""
        random = np.random.default_rng([self._seed, number])
        index = int(random.integers(len(self._inputs)))
        if number % 2:
            return self._send("REST", self._rest, BODIES, number // 2, index, random)
        return self._send("gRPC", self._grpc, MESSAGES, number // 2, index, random)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _send(
        self,
        interface: str,
        send: Callable[[Any], tuple[str, bool]],
        kinds: dict[str, Callable[..., Any]],
        number: int,
        index: int,
        random: np.random.Generator,
    ) -> Outcome:
        kind = [VALID, *kinds][number % (len(kinds) + 1)]
        if kind == VALID:
            return Outcome(f"{interface}: {kind}", *self._valid(interface, index))
        return Outcome(f"{interface}: {kind}", *send(kinds[kind](random, self._inputs[index])))

    def _valid(self, interface: str, index: int) -> tuple[str, bool]:
        inputs = self._inputs[index]
        if interface == "REST":
            status, content = self._http(http_request(json_body(inputs)))
            return str(status), (status, content) == self._bodies[index]
        return "OK", self._outputs(serialized_request(inputs, **SPEC)) == self._messages[index]

    def _grpc(self, message: Message) -> tuple[str, bool]:
        method = self._channel.unary_unary(message.method)
        call = method.future(message.content, timeout=TIMEOUT, compression=message.compression)
        code = call.code().name
        return code, code == message.code and (code == "OK" or _is_sentence(call.details()))

    def _rest(self, body: Body) -> tuple[str, bool]:
        status, content = self._http(body.content, body.leaves)
        return str(status), status == body.status and (not status or _is_sentence(json.loads(content).get("error", "")))

    def _outputs(self, request: bytes) -> dict[str, bytes]:
        response = PredictResponse.FromString(self._channel.unary_unary(PREDICT)(request, timeout=TIMEOUT))
        return {name: tensor.SerializeToString(deterministic=True) for name, tensor in response.outputs.items()}

    def _http(self, content: bytes, leaves: bool = False) -> tuple[int, bytes]:
        """Send an HTTP request and return status and body of the response; status 0 if the client leaves before it."""
        with socket.create_connection(self._address, TIMEOUT) as connection:
            with suppress(ConnectionError):  # a response may arrive before everything is sent
                connection.sendall(content)
                if not leaves:
                    connection.shutdown(socket.SHUT_WR)
            if leaves:
                return 0, b""
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()


def _is_sentence(text: str) -> bool:
    return len(text.splitlines()) == 1 and "Traceback" not in text


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match
    return int(match[1]) / 1024


def is_flat(memory: list[float]) -> bool:
    """Return whether the last value is at most 5 % above the first one."""
    return not memory or memory[-1] <= (1 + GROWTH) * memory[0]


def measure(server: ServerProcess, count: int, seed: int) -> dict[str, Any]:
    sender = Sender(server, seed)
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    wrong, memory = [], []
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for start in range(0, count, TURN):
            for outcome in pool.map(sender, range(start, min(start + TURN, count))):
                codes[outcome.kind][outcome.code] += 1
                wrong += [] if outcome.correct else [outcome]
            memory.append(round(resident(server.pid), 1))
            progress(f"{start + TURN} requests: {memory[-1]} MiB, {len(wrong)} wrong")
    status, _ = sender._http(http_request(b"", "/v1/models/films", method="GET"))
    sender.close()
    return {
        "requests": count,
        "wrong": len(wrong),
        "examples": [f"{outcome.kind}: {outcome.code}" for outcome in wrong[:5]],
        "alive": status == 200,
        "resident_mib": memory,
        "growth_mib": round(memory[-1] - memory[0], 1),
        "flat": is_flat(memory),
        "stderr": server.errors()[:5],
        "responses": {kind: dict(counts) for kind, counts in sorted(codes.items())},
    }


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="number of requests")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices")
    arguments = parser.parse_args()
    with small_server(*BOUNDS) as server:
        result = measure(server, arguments.count, arguments.seed)
    report({"benchmark": "malformed_requests"} | result, "malformed_requests" if arguments.record else None)


if __name__ == "__main__":
    main()
