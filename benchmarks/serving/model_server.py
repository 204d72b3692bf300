"""Latency and throughput of the embedded model server, compared with the same signature in process.

    python -m benchmarks.serving.model_server [--record] [--seconds 60]

A two-tower export with 50,000 synthetic items, 64 dimensions and top-100 is queried in several modes, which take turns,
so that other work on the machine affects all of them:

- `matmul_top_k`: the matrix product and top-k of one query vector, in a TensorFlow session;
- `in_process`: the signature `retrieve` in a session of this process, from prepared arrays to arrays;
- `served_N`, `batched_N`: over gRPC from prepared bytes to bytes, N requests in flight, without and with dynamic
  batching;
- `transport`: gRPC alone: a Python server that returns the bytes of such a response;
- `in_process_after_it`: `in_process`, each time after a `transport` call, so with caches as cold as a server finds
  them;
- `client`: `Client` and the server without batching, from lists of ids to arrays of `str`.

Histories have 0 to 8 items. The servers run in separate processes on the same cores as the load generator, with no
options but batching. Before the measurement, the responses of both servers to 500 concurrent requests of all widths are
compared with those in process. Afterwards, 32 requests are kept in flight for a minute and failures are counted.
Finally, servers are started in turns with the export and with a copy without warm-up requests: `start_s` is the time
from the start of `tfllmrec serve` to its first response, `first_ms` the latency of that response with 1 and with 32
rows, `next_ms` that of later ones.

Prints one JSON line: p50, p99, throughput and failures of each mode, and ratios. Targets: p50 at most 1.6 times in
process; with batching, 32 in flight reach twice the throughput of one at a time; no failed request. It takes seven
minutes.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.serving.load import (
    PREDICT,
    TIMEOUT,
    Inputs,
    Load,
    in_flight,
    one_by_one,
    rounded,
    serialized_request,
    string_arrays,
    take_turns,
)
from benchmarks.serving.server_start import ROWS, first_responses
from benchmarks.serving.transport import constant_server
from tfllmrec import Dataset, TwoTower
from tfllmrec.export import export
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving import Client, ServerProcess
from tfllmrec.serving.session import ServedModel
from tfllmrec_client.messages import PredictResponse
from tfllmrec_client.tensors import read

ITEMS, DIM, TOP_K, USERS, LONGEST = 50_000, 64, 100, 2_000, 8
CONCURRENCY = (1, 8, 32)
TOLERANCE = 1e-5
"""Items with a smaller difference in scores may swap: the last bits of scores differ between a batch and a row."""
BATCHING = """
max_batch_size { value: 32 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 2 }
pad_variable_length_inputs: true
"""
MODEL_SPEC = {"name": "films", "signature_name": "retrieve"}


def synthetic_export(folder: Path) -> Path:
    """Fit a two-tower for one epoch and export it; every item occurs in the history of one user."""
    random = np.random.default_rng(0)
    items = np.array([f"item-{number}" for number in range(ITEMS)])
    users = np.repeat([f"user-{number}" for number in range(USERS)], ITEMS // USERS)
    order = random.permutation(ITEMS)
    data = Dataset.from_frames(
        pd.DataFrame({"user_id": users, "item_id": items[order], "timestamp": np.arange(ITEMS)}),
        pd.DataFrame({"item_id": items, "title": [f"The title of item {number}" for number in range(ITEMS)]}),
    )
    return export(TwoTower(dim=DIM, epochs=1).fit(data, verbose=0), folder / "films", top_k=TOP_K)


def synthetic_inputs(count: int) -> list[Inputs]:
    """Return inputs of known users with histories of 0 to LONGEST items; the leading "" makes any padding harmless."""
    random = np.random.default_rng(1)
    histories = [
        [f"item-{item}" for item in random.integers(ITEMS, size=number % (LONGEST + 1))] for number in range(count)
    ]
    users = [f"user-{user}" for user in random.integers(USERS, size=count)]
    return [
        {"user_id": [user], "history": [["", *history]], "exclude_item_ids": [[""]]}
        for user, history in zip(users, histories, strict=True)
    ]


def matmul_top_k(vectors: np.ndarray) -> Callable[[np.ndarray], Any]:
    """Return a function that computes one matrix product and top-k in a separate session."""
    with tf.Graph().as_default():
        table = tf.compat.v1.get_variable("table", initializer=vectors)
        query = tf.compat.v1.placeholder(tf.float32, [None, DIM])
        best = tf.math.top_k(tf.matmul(query, table, transpose_b=True), TOP_K)
        session = tf.compat.v1.Session()
        session.run(table.initializer)
        return session.make_callable(list(best), [query])


def largest_difference(method: Any, request_inputs: list[Inputs], model: ServedModel) -> float:
    """Return the largest difference between scores of concurrent requests to a server and those in process.

    Raises:
        RuntimeError: If an item differs at a rank with a score farther than `TOLERANCE` from its neighbors.
    """
    calls = [method.future(serialized_request(inputs, **MODEL_SPEC), timeout=TIMEOUT) for inputs in request_inputs]
    differences = []
    for inputs, call in zip(request_inputs, calls, strict=True):
        outputs = PredictResponse.FromString(call.result()).outputs
        expected = model("retrieve", **inputs)
        scores, items = expected["scores"][0], expected["item_ids"][0]
        gaps = np.abs(np.diff(scores, prepend=np.inf, append=-np.inf))
        distinct = np.minimum(gaps[:-1], gaps[1:]) > TOLERANCE
        if [item.decode() for item in read(outputs["item_ids"])[0][distinct]] != items[distinct].tolist():
            raise RuntimeError(f"the server and the session return different items for {inputs}")
        differences.append(np.abs(read(outputs["scores"])[0] - scores).max())
    return float(max(differences))


def measure(folder: Path, turns: int, count: int, seconds: float, starts: int) -> dict[str, Any]:
    version = synthetic_export(folder)
    request_inputs = synthetic_inputs(500)
    arrays = [string_arrays(inputs) for inputs in request_inputs]
    requests = [serialized_request(inputs, **MODEL_SPEC) for inputs in request_inputs]
    with suppress_stderr():
        model = ServedModel(version)
    vectors = model("embed_items", item_ids=[f"item-{number}" for number in range(ITEMS)])["embeddings"]
    product = matmul_top_k(vectors)
    queries = list(np.random.default_rng(2).normal(size=(100, 1, DIM)).astype(np.float32))
    config = folder / "batching.config"
    config.write_text(BATCHING, encoding="utf-8")
    options: dict[str, list[str | Path]] = {
        "served": [],
        "batched": ["--enable_batching", "--batching_parameters_file", config],
    }
    with ExitStack() as stack:
        methods = {}
        for name, flags in options.items():
            server = stack.enter_context(ServerProcess(version.parent, *flags))
            client = stack.enter_context(Client(server.grpc_address, "films"))
            channel = stack.enter_context(grpc.insecure_channel(server.grpc_address))
            methods[name] = channel.unary_unary(PREDICT)
        differences = {name: largest_difference(method, request_inputs, model) for name, method in methods.items()}
        progress(f"largest difference of scores: {differences}")
        transport = stack.enter_context(constant_server(methods["served"](requests[0])))

        def run(inputs: dict[str, np.ndarray]) -> Any:
            return model.run("retrieve", inputs)

        tasks: dict[str, Callable[[], Load]] = {
            "matmul_top_k": lambda: one_by_one(product, queries, count),
            "in_process": lambda: one_by_one(run, arrays, count),
            "in_process_after_it": lambda: one_by_one(run, arrays, count, lambda: transport(requests[0])),
            "transport": lambda: one_by_one(transport, requests, count),
            "client": lambda: one_by_one(lambda inputs: client.predict("retrieve", inputs), request_inputs, count),
        }
        for name, method in methods.items():
            tasks[f"{name}_1"] = lambda method=method: one_by_one(method, requests, count)  # type: ignore[misc]
            for many in CONCURRENCY[1:]:
                tasks[f"{name}_{many}"] = lambda method=method, many=many: in_flight(  # type: ignore[misc]
                    method, requests, many, count=2 * count
                )
        measured = take_turns(tasks, turns)
        progress(f"{seconds:.0f} s with {CONCURRENCY[-1]} requests in flight")
        sustained = in_flight(methods["batched"], requests, CONCURRENCY[-1], seconds=seconds)
    p50 = {name: load["p50_ms"] for name, load in measured.items()}
    return {
        "benchmark": "model_server",
        "items": ITEMS,
        "dim": DIM,
        "top_k": TOP_K,
        "measured": measured,
        "ratios": {
            "served_1_p50_to_in_process": p50["served_1"] / p50["in_process"],
            "served_1_p50_to_transport_and_then_in_process": p50["served_1"]
            / (p50["transport"] + p50["in_process_after_it"]),
            "client_p50_to_in_process": p50["client"] / p50["in_process"],
            "rate_batched_32_to_served_1": measured["batched_32"]["per_second"] / measured["served_1"]["per_second"],
            "rate_batched_32_to_batched_1": measured["batched_32"]["per_second"] / measured["batched_1"]["per_second"],
            "in_process_p50_to_matmul_top_k": p50["in_process"] / p50["matmul_top_k"],
        },
        "largest_difference_of_scores": differences,
        "starts": first_responses(version, synthetic_inputs(ROWS[-1]), starts),
        "sustained": {"seconds": sustained.seconds, "responses": len(sustained.latencies)} | sustained.summary(),
    }


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--turns", type=int, default=20, help="number of turns that count")
    parser.add_argument(
        "--count", type=int, default=150, help="requests per turn, twice as many if several are in flight"
    )
    parser.add_argument("--seconds", type=float, default=60, help="duration of the run that counts failed requests")
    parser.add_argument("--starts", type=int, default=5, help="server starts of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.turns, options.count, options.seconds, options.starts)
    report(rounded(result), "model_server" if options.record else None)


if __name__ == "__main__":
    main()
