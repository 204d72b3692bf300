"""Cost of logging served recommendations, for a sample of the users and for all.

    python -m benchmarks.serving.recommendation_log [--record]

Three servers with dynamic batching and the export of `benchmarks.serving.model_server` take turns, with one request at
a time and with 32 in flight. One logs nothing, one logs the results (100 items each) of a hundredth of the users, which
is the default sampling rate, and one logs all results.

Prints one JSON line: latencies and throughput of each server, ratios to the server without a log, and the number of
records in the logs. It takes four minutes.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from benchmarks.common import benchmark_parser, report
from benchmarks.serving.load import PREDICT, Load, in_flight, one_by_one, rounded, serialized_request, take_turns
from benchmarks.serving.model_server import BATCHING, MODEL_SPEC, synthetic_export, synthetic_inputs
from tfllmrec.serving import ServerProcess

IN_FLIGHT = 32


def measure(folder: Path, turns: int, count: int) -> dict[str, Any]:
    version = synthetic_export(folder)
    requests = [serialized_request(inputs, **MODEL_SPEC) for inputs in synthetic_inputs(500)]
    (folder / "batching.config").write_text(BATCHING, encoding="utf-8")
    (folder / "key").write_text("a key for a benchmark", encoding="utf-8")
    (folder / "key").chmod(0o600)
    batching: list[str | Path] = ["--enable_batching", "--batching_parameters_file", folder / "batching.config"]
    log: list[str | Path] = [
        *batching,
        "--recommendation_log_key_file",
        folder / "key",
        "--recommendation_log_sampling_rate",
    ]
    flags = {
        "plain": batching,
        "sampled": [*log, "0.01", "--recommendation_log_file", folder / "sampled.jsonl"],
        "all": [*log, "1", "--recommendation_log_file", folder / "all.jsonl"],
    }
    with ExitStack() as stack:
        tasks: dict[str, Callable[[], Load]] = {}
        for name, options in flags.items():
            server = stack.enter_context(ServerProcess(version.parent, *options))
            method = stack.enter_context(grpc.insecure_channel(server.grpc_address)).unary_unary(PREDICT)
            tasks[f"{name}_1"] = lambda method=method: one_by_one(method, requests, count)  # type: ignore[misc]
            tasks[f"{name}_{IN_FLIGHT}"] = lambda method=method: in_flight(  # type: ignore[misc]
                method, requests, IN_FLIGHT, count=4 * count
            )
        measured = take_turns(tasks, turns)
    written = {name: (folder / f"{name}.jsonl").read_bytes() for name in ("sampled", "all")}

    def ratio(name: str, load: int, metric: str) -> float:
        return measured[f"{name}_{load}"][metric] / measured[f"plain_{load}"][metric]

    return {
        "benchmark": "recommendation_log",
        "measured": measured,
        "ratios": {
            name: {
                "p50_of_1": ratio(name, 1, "p50_ms"),
                f"p50_of_{IN_FLIGHT}": ratio(name, IN_FLIGHT, "p50_ms"),
                f"rate_of_{IN_FLIGHT}": ratio(name, IN_FLIGHT, "per_second"),
            }
            for name in written
        },
        "requests": (turns + 1) * 5 * count,
        "written": {name: lines.count(b"\n") for name, lines in written.items()},
        "bytes_a_list": len(written["all"]) / written["all"].count(b"\n"),
    }


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--turns", type=int, default=30, help="number of turns that count")
    parser.add_argument(
        "--count", type=int, default=150, help="requests per turn, four times as many if several are in flight"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.turns, options.count)
    report(rounded(result), "recommendation_log" if options.record else None)


if __name__ == "__main__":
    main()
