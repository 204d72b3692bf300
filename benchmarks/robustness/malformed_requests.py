"""Does a model server live through 10,000 requests that nobody should send, and say of each what is wrong?

    python -m benchmarks.robustness.malformed_requests [--count 10000] [--seed 0]

A small two-tower, served by a process of its own that takes messages and bodies of 4 MiB. Half of the requests come
over gRPC, half over REST, eight at a time; their kinds (`made_up.py`) take turns, with a good request in every turn.
Each has to be answered with the one code that is right for its kind, a good one bit by bit as at the start. Prints one
JSON line: how the requests of each kind were answered, and how many wrongly; the server's resident memory after the
first 1,000 requests, by when its threads and caches are there, and after every 1,000 more; its lines on stderr. Memory
is flat where it ends no more than 5 % above what it was after the first 1,000.
"""

import argparse
import http.client
import json
import re
import socket
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
import numpy as np

from benchmarks.common import progress, report
from benchmarks.robustness.malformed import BODIES, LARGEST, MESSAGES, SPEC, Body, Message, asked, made_question, posted
from benchmarks.serving.load import PREDICT, TIMEOUT, packed
from tfllmrec import TwoTower, checkerboard
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess
from tfllmrec_client.messages import PredictResponse

AT_ONCE, TURN = 8, 1000
GROWTH = 0.05
GOOD = "good"
BOUNDS = (
    f"--grpc_channel_arguments=grpc.max_receive_message_length={LARGEST}",
    f"--rest_api_max_body_bytes={LARGEST}",
)


class Outcome(NamedTuple):
    """How a request of a kind was answered."""

    kind: str
    code: str
    right: bool


class Asking:
    """A server, asked for what is good and for what is not.

    Args:
        server: of films.
        seed: of all choices.
    """

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self._seed = seed
        url = urlsplit(server.rest_url)
        self._address = (str(url.hostname), int(url.port or 0))
        self._channel = grpc.insecure_channel(server.grpc_address)
        random = np.random.default_rng(seed)
        self._questions = [made_question(random) for _ in range(50)]
        self._messages = [self._outputs(packed(question, **SPEC)) for question in self._questions]
        self._bodies = [self._http(posted(asked(question))) for question in self._questions]

    def __call__(self, number: int) -> Outcome:
        """Send the request with this number; even ones go over gRPC."""
        random = np.random.default_rng([self._seed, number])
        place = int(random.integers(len(self._questions)))
        if number % 2:
            return self._over("REST", self._rest, BODIES, number // 2, place, random)
        return self._over("gRPC", self._grpc, MESSAGES, number // 2, place, random)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _over(
        self,
        interface: str,
        send: Callable[[Any], tuple[str, bool]],
        kinds: dict[str, Callable[..., Any]],
        number: int,
        place: int,
        random: np.random.Generator,
    ) -> Outcome:
        kind = [GOOD, *kinds][number % (len(kinds) + 1)]
        if kind == GOOD:
            return Outcome(f"{interface}: {kind}", *self._good(interface, place))
        return Outcome(f"{interface}: {kind}", *send(kinds[kind](random, self._questions[place])))

    def _good(self, interface: str, place: int) -> tuple[str, bool]:
        question = self._questions[place]
        if interface == "REST":
            status, content = self._http(posted(asked(question)))
            return str(status), (status, content) == self._bodies[place]
        return "OK", self._outputs(packed(question, **SPEC)) == self._messages[place]

    def _grpc(self, message: Message) -> tuple[str, bool]:
        method = self._channel.unary_unary(message.method)
        call = method.future(message.content, timeout=TIMEOUT, compression=message.compression)
        code = call.code().name
        return code, code == message.code and (code == "OK" or _sentence(call.details()))

    def _rest(self, body: Body) -> tuple[str, bool]:
        status, content = self._http(body.content, body.leaves)
        return str(status), status == body.status and (not status or _sentence(json.loads(content).get("error", "")))

    def _outputs(self, request: bytes) -> dict[str, bytes]:
        answer = PredictResponse.FromString(self._channel.unary_unary(PREDICT)(request, timeout=TIMEOUT))
        return {name: tensor.SerializeToString(deterministic=True) for name, tensor in answer.outputs.items()}

    def _http(self, content: bytes, leaves: bool = False) -> tuple[int, bytes]:
        """Status and body of the answer; 0 where the client leaves without it."""
        with socket.create_connection(self._address, TIMEOUT) as connection:
            with suppress(ConnectionError):  # an answer may come before all is sent
                connection.sendall(content)
                if not leaves:
                    connection.shutdown(socket.SHUT_WR)
            if leaves:
                return 0, b""
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.read()


def _sentence(text: str) -> bool:
    return len(text.splitlines()) == 1 and "Traceback" not in text


def resident(pid: int) -> float:
    """MiB that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def measure(server: ServerProcess, count: int, seed: int) -> dict[str, Any]:
    asking = Asking(server, seed)
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    wrong, memory = [], []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, count, TURN):
            for outcome in pool.map(asking, range(start, min(start + TURN, count))):
                codes[outcome.kind][outcome.code] += 1
                wrong += [] if outcome.right else [outcome]
            memory.append(round(resident(server.pid), 1))
            progress(f"{start + TURN} requests: {memory[-1]} MiB, {len(wrong)} wrong")
    status, _ = asking._http(posted(b"", "/v1/models/films", method="GET"))
    asking.close()
    growth = memory[-1] - memory[0]
    return {
        "requests": count,
        "wrong": len(wrong),
        "examples": [f"{outcome.kind}: {outcome.code}" for outcome in wrong[:5]],
        "alive": status == 200,
        "resident_mib": memory,
        "growth_mib": round(growth, 1),
        "flat": growth <= GROWTH * memory[0],
        "stderr": server.errors()[:5],
        "answers": {kind: dict(found) for kind, found in sorted(codes.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    arguments = parser.parse_args()
    two_tower = TwoTower(dim=16, hidden_units=16, epochs=1).fit(checkerboard().data, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        made = export(two_tower, Path(folder) / "films")
        with ServerProcess(made.parent, *BOUNDS) as server:
            result = measure(server, arguments.count, arguments.seed)
    report({"benchmark": "made_up_requests"} | result, "made_up_requests" if arguments.record else None)


if __name__ == "__main__":
    main()
