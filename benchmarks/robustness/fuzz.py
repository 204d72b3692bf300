"""Fuzzing of the readers of HTTP requests and of gRPC messages.

    python -m benchmarks.robustness.fuzz [--record] [--minutes 10] [--seed 0]

A small two-tower is served by a separate process. Hypothesis alters valid HTTP requests and messages: it cuts, repeats
and inserts bytes and the words of framing, and sends them in pieces. Every response must be complete and have a correct
form within 30 seconds: HTTP statuses below 500, or 501 to 505; gRPC codes other than UNKNOWN and UNAVAILABLE. A
valid request must have the same response at the end as at the start.

Prints one JSON line: the number of requests by interface and status, hangs, wrong responses with an example, and every
half minute the server's resident memory in MiB and its open files. Memory is `flat` if it ends at most 5 % above its
value after the first minute. Target: no hang, no wrong response, flat memory.
"""

import re
import socket
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import hypothesis
from hypothesis import strategies as st

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.robustness.malformed import INPUTS, SPEC, http_request, json_body
from benchmarks.robustness.malformed_requests import is_flat, resident
from benchmarks.serving.load import PREDICT, serialized_request
from benchmarks.serving.small_server import small_server
from tfllmrec.serving import ServerProcess

SERVICES = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"
METHODS = (
    PREDICT,
    *(f"{SERVICES[0]}/{name}" for name in ("Classify", "Regress", "MultiInference", "GetModelMetadata")),
    *(f"{SERVICES[1]}/{name}" for name in ("GetModelStatus", "HandleReloadConfigRequest")),
)
WORDS = [
    *(
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"5\r\nabcde\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"\x00",
        b" ",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"GET / HTTP/1.1\r\n",
    ),
    *(
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"HTTP/1.0",
        b"/versions/1",
        b":classify",
    ),
    *(
        b'"',
        b"[",
        b"{",
        b"]",
        b"}",
        b'{"b64": "',
        b"NaN",
        b"1e999",
        b"\\ud800",
        b"\xff\xff\xff\xff\x0f",
        b"\x1f\x8b\x08",
    ),
]
TURN = 200
HANGS_AFTER, SAMPLE_SECONDS = 30.0, 30.0


@st.composite
def altered(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a valid request after up to six changes."""
    for _ in range(draw(st.integers(1, 6))):
        start, size = draw(st.integers(0, len(content))), draw(st.integers(0, 20))
        new = draw(st.one_of(st.just(b""), st.sampled_from(WORDS), st.binary(max_size=8)))
        repeated = draw(st.sampled_from([1, 1, 1, 2, 50]))
        content = content[:start] + new * repeated + content[start + size * draw(st.booleans()) :]
    return content


class Fuzzer:
    """Sends altered requests to a server and counts its responses.

    Args:
        server: server of the model `films`.
    """

    def __init__(self, server: ServerProcess) -> None:
        url = urlsplit(server.rest_url)
        self._address = (str(url.hostname), int(url.port or 0))
        self._channel = grpc.insecure_channel(server.grpc_address)
        self._message = serialized_request(INPUTS, **SPEC)
        self._request = http_request(json_body(INPUTS))
        self.codes, self.hangs, self.wrong = Counter[str](), list[str](), list[str]()

    def turn(self, seed: int) -> None:
        """Send some requests to each interface."""
        settings = hypothesis.settings(
            max_examples=TURN,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=[*hypothesis.HealthCheck],
        )
        pieces = st.lists(st.integers(1, 400), max_size=3)
        http = hypothesis.given(altered(self._request), pieces, st.booleans())(self._http)
        rpc = hypothesis.given(altered(self._message), st.sampled_from(METHODS))(self._grpc)
        for test in (http, rpc):
            settings(hypothesis.seed(seed)(test))()

    def valid(self) -> tuple[bytes, bytes]:
        """Return the responses to a valid request of each interface, without the date."""
        response = self._exchange(self._request, [], leaves=False)
        message = self._channel.unary_unary(PREDICT)(self._message, timeout=HANGS_AFTER)
        return re.sub(rb"date: .*?\r\n", b"", response), message

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _http(self, content: bytes, pieces: list[int], leaves: bool) -> None:
        try:
            response = self._exchange(content, pieces, leaves)
        except TimeoutError:
            self.hangs.append(repr(content))
            return
        except ConnectionError:
            self.codes["HTTP reset"] += 1
            return
        statuses = re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", response)
        for status in statuses or [b"none"]:
            self.codes[f"HTTP {status.decode()}"] += 1
        if any(status == b"500" or status > b"505" for status in statuses):
            self.wrong.append(f"{content!r}: {response[:300]!r}")

    def _exchange(self, content: bytes, pieces: list[int], leaves: bool) -> bytes:
        """Send bytes in pieces; return everything that the server sends until it closes the connection."""
        with socket.create_connection(self._address, HANGS_AFTER) as connection:
            for size in pieces:
                connection.sendall(content[:size])
                content = content[size:]
            connection.sendall(content)
            if leaves:
                return b""
            with suppress(OSError):  # the server may have closed the connection
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(2**16), b""))

    def _grpc(self, content: bytes, method: str) -> None:
        call = self._channel.unary_unary(method).future(content, timeout=HANGS_AFTER)
        code = call.code()
        self.codes[f"gRPC {code.name}"] += 1
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self.hangs.append(f"{method} {content!r}")
        elif code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE) or "Traceback" in (call.details() or ""):
            self.wrong.append(f"{method} {content!r}: {code} {call.details()}")


def measure(server: ServerProcess, minutes: float, seed: int) -> dict[str, Any]:
    fuzzer = Fuzzer(server)
    before = fuzzer.valid()
    started = last = time.monotonic()
    memory, files = list[float](), list[int]()
    while (now := time.monotonic()) - started < minutes * 60:
        fuzzer.turn(seed)
        seed += 1
        if now - last >= SAMPLE_SECONDS:
            last = now
            memory.append(round(resident(server.pid), 1))
            files.append(len([*Path(f"/proc/{server.pid}/fd").iterdir()]))
            progress(f"{sum(fuzzer.codes.values())} responses, {memory[-1]} MiB, {files[-1]} files")
    same = fuzzer.valid() == before
    fuzzer.close()
    return {
        "responses": dict(sorted(fuzzer.codes.items())),
        "hangs": len(fuzzer.hangs),
        "wrong": len(fuzzer.wrong),
        "examples": [*fuzzer.hangs[:3], *fuzzer.wrong[:3]],
        "same_valid_response": same,
        "resident_mib": memory,
        "open_files": files,
        "flat": is_flat(memory[1:]),
        "stderr": server.errors()[:5],
    }


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="duration")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices")
    arguments = parser.parse_args()
    with small_server() as server:
        result = measure(server, arguments.minutes, arguments.seed)
    report({"benchmark": "fuzz", "minutes": arguments.minutes} | result, "fuzz" if arguments.record else None)


if __name__ == "__main__":
    main()
