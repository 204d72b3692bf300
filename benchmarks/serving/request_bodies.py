"""Time of a large REST request, by the framing of its body.

    python -m benchmarks.serving.request_bodies [--record] [--turns 5]

A small two-tower is served by a separate process. Bodies of 16, 32 and 64 MB, a valid request and spaces, are sent in
turns with a Content-Length and in chunks of 64 KiB. Prints one JSON line: the median seconds of each size and framing,
and `ratio`, of chunks to a length. Target: at most 1.5 times for 64 MB. It takes half a minute.
"""

import http.client
import json
import time
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlsplit

from benchmarks.common import benchmark_parser, report
from benchmarks.robustness.malformed import INPUTS, PATH, json_body
from benchmarks.serving.small_server import small_server

SIZES = (16, 32, 64)
MB, CHUNK = 10**6, 2**16


def chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))


def seconds(url: str, body: bytes, chunked: bool) -> float:
    """Return the seconds from the first byte of a request to the last byte of its response."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    connection.connect()
    started = time.perf_counter()
    connection.request("POST", PATH, chunks(body) if chunked else body, encode_chunked=chunked)
    response = connection.getresponse()
    content = response.read()
    elapsed = time.perf_counter() - started
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{len(body)} bytes: {response.status} {content.decode()}")
    return elapsed


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--turns", type=int, default=5, help="number of requests of each size and framing")
    arguments = parser.parse_args()
    text, result = json.dumps(json_body(INPUTS)).encode(), {}
    with small_server() as server:
        for size in SIZES:
            body = text.ljust(size * MB)
            times = [seconds(server.rest_url, body, chunked) for chunked in (False, True) * arguments.turns]
            length, chunked = median(times[::2]), median(times[1::2])
            result[f"{size}_mb"] = {
                "length_s": round(length, 3),
                "chunked_s": round(chunked, 3),
                "ratio": round(chunked / length, 2),
            }
    report({"benchmark": "request_bodies"} | result, "request_bodies" if arguments.record else None)


if __name__ == "__main__":
    main()
