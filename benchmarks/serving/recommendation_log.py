"""What writing down served lists costs: the export and the load of serving.py, without it, for some, for all.

    python -m benchmarks.serving.recommendation_log [--record]

Three servers with dynamic batching take turns, each asked one by one, and with 32 in flight: one writes nothing down,
one the lists (of 100 items) of a hundredth of the users, which is the default sampling rate, one those of all.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from benchmarks.common import report
from benchmarks.serving.load import PREDICT, Load, at_once, one_by_one, packed, rounded, take_turns
from benchmarks.serving.model_server import ASKED, BATCHING, made_export, made_questions
from tfllmrec.serving import ServerProcess

IN_FLIGHT = 32


def measure(folder: Path, turns: int, count: int) -> dict[str, Any]:
    version = made_export(folder)
    requests = [packed(question, **ASKED) for question in made_questions(500)]
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
        for name, given in flags.items():
            server = stack.enter_context(ServerProcess(version.parent, *given))
            method = stack.enter_context(grpc.insecure_channel(server.grpc_address)).unary_unary(PREDICT)
            tasks[f"{name}_1"] = lambda method=method: one_by_one(method, requests, count)  # type: ignore[misc]
            tasks[f"{name}_{IN_FLIGHT}"] = lambda method=method: at_once(  # type: ignore[misc]
                method, requests, IN_FLIGHT, count=4 * count
            )
        found = take_turns(tasks, turns)
    written = {name: (folder / f"{name}.jsonl").read_bytes() for name in ("sampled", "all")}

    def ratio(name: str, load: int, of: str) -> float:
        return found[f"{name}_{load}"][of] / found[f"plain_{load}"][of]

    return {
        "benchmark": "served_lists",
        "measured": found,
        "ratios": {
            name: {
                "p50_of_1": ratio(name, 1, "p50_ms"),
                f"p50_of_{IN_FLIGHT}": ratio(name, IN_FLIGHT, "p50_ms"),
                f"rate_of_{IN_FLIGHT}": ratio(name, IN_FLIGHT, "per_second"),
            }
            for name in written
        },
        "asked": (turns + 1) * 5 * count,
        "written": {name: lines.count(b"\n") for name, lines in written.items()},
        "bytes_a_list": len(written["all"]) / written["all"].count(b"\n"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What writing down served lists costs.")
    parser.add_argument("--record", action="store_true", help="keep the result in results/")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--count", type=int, default=150, help="requests a turn, four times as many in flight")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.turns, options.count)
    report(rounded(result), "served_lists" if options.record else None)


if __name__ == "__main__":
    main()
