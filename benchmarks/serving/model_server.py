"""Serving speed: 50,000 made items x 64 dimensions, top-100, through the embedded model server and without it.

    python -m benchmarks.serving.model_server [--record] [--seconds 60]

One two-tower export, asked in ways that take turns, so that other work on the machine meets all of them:

- `matmul_top_k`: the bare matrix product and top-k of one query vector, in a TensorFlow session;
- `in_process`: the signature `retrieve` in a session of this process, from prepared arrays to arrays;
- `served_N`, `batched_N`: from prepared bytes to bytes, N requests in flight, without and with dynamic batching;
- `transport`: gRPC alone, a Python server that answers with the bytes of such an answer;
- `in_process_after_it`: the signature once more, each time after such an exchange, as cold as a server finds it;
- `client`: through `Client` and the server without batching, from lists of ids to arrays of `str`.

Histories have 0 to 8 items. The servers run in processes of their own, on the same cores as the load, started with no
options but batching. Before anything is timed, the answers of both to 500 requests of all widths in flight together are
compared with those given in process. At the end the server with batching is asked by 32 at a time for a minute, and
failed requests are counted. Then servers are started afresh, in turns with the export as it is and with a copy without
warm-up requests (`starts.py`): `start_s` is a whole `tfllmrec serve`, from Python and TensorFlow to its first answer;
`first_ms` is what that first answer takes, at 1 and 32 rows, and `next_ms` one of those after it.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.common import progress, report
from benchmarks.serving.load import (
    PREDICT,
    TIMEOUT,
    Load,
    Question,
    arrays_of,
    at_once,
    one_by_one,
    packed,
    rounded,
    take_turns,
)
from benchmarks.serving.server_start import ROWS, first_answers
from benchmarks.serving.transport import answering
from tfllmrec import Dataset, TwoTower
from tfllmrec.export import export
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving import Client, ServerProcess
from tfllmrec.serving.session import ServedModel
from tfllmrec_client.messages import PredictResponse
from tfllmrec_client.tensors import read

ITEMS, DIM, TOP_K, USERS, LONGEST = 50_000, 64, 100, 2_000, 8
CONCURRENCY = (1, 8, 32)
NEAR = 1e-5
"""Scores of a batch differ in the last bits from those of a row alone: so near, two items may change places."""
BATCHING = """
max_batch_size { value: 32 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 2 }
pad_variable_length_inputs: true
"""
ASKED = {"name": "made", "signature_name": "retrieve"}


def made_export(folder: Path) -> Path:
    """A two-tower that was fitted for one epoch; every item belongs to one user's history."""
    random = np.random.default_rng(0)
    items = np.array([f"item-{number}" for number in range(ITEMS)])
    users = np.repeat([f"user-{number}" for number in range(USERS)], ITEMS // USERS)
    order = random.permutation(ITEMS)
    data = Dataset.from_frames(
        pd.DataFrame({"user_id": users, "item_id": items[order], "timestamp": np.arange(ITEMS)}),
        pd.DataFrame({"item_id": items, "title": [f"The title of item {number}" for number in range(ITEMS)]}),
    )
    return export(TwoTower(dim=DIM, epochs=1).fit(data, verbose=0), folder / "made", top_k=TOP_K)


def made_questions(count: int) -> list[Question]:
    """Known users with histories of 0 to LONGEST items; the leading "" makes any padding harmless."""
    random = np.random.default_rng(1)
    histories = [
        [f"item-{item}" for item in random.integers(ITEMS, size=number % (LONGEST + 1))] for number in range(count)
    ]
    users = [f"user-{user}" for user in random.integers(USERS, size=count)]
    return [
        {"user_id": [user], "history": [["", *history]], "exclude_item_ids": [[""]]}
        for user, history in zip(users, histories, strict=True)
    ]


def bare(vectors: np.ndarray) -> Callable[[np.ndarray], Any]:
    """One matrix product and a top-k in a session of its own."""
    with tf.Graph().as_default():
        table = tf.compat.v1.get_variable("table", initializer=vectors)
        query = tf.compat.v1.placeholder(tf.float32, [None, DIM])
        best = tf.math.top_k(tf.matmul(query, table, transpose_b=True), TOP_K)
        session = tf.compat.v1.Session()
        session.run(table.initializer)
        return session.make_callable(list(best), [query])


def largest_difference(method: Any, questions: list[Question], model: ServedModel) -> float:
    """Of the scores that a server gives to questions in flight together, from those in process, one by one.

    Raises:
        RuntimeError: another item stands in a place whose neighbours' scores are not near.
    """
    calls = [method.future(packed(question, **ASKED), timeout=TIMEOUT) for question in questions]
    differences = []
    for question, call in zip(questions, calls, strict=True):
        outputs = PredictResponse.FromString(call.result()).outputs
        expected = model("retrieve", **question)
        scores, items = expected["scores"][0], expected["item_ids"][0]
        steps = np.abs(np.diff(scores, prepend=np.inf, append=-np.inf))
        sure = np.minimum(steps[:-1], steps[1:]) > NEAR
        if [item.decode() for item in read(outputs["item_ids"])[0][sure]] != items[sure].tolist():
            raise RuntimeError(f"other items than in process for {question}")
        differences.append(np.abs(read(outputs["scores"])[0] - scores).max())
    return float(max(differences))


def measure(folder: Path, turns: int, count: int, seconds: float, starts: int) -> dict[str, Any]:
    version = made_export(folder)
    questions = made_questions(500)
    arrays = [arrays_of(question) for question in questions]
    requests = [packed(question, **ASKED) for question in questions]
    with suppress_stderr():
        model = ServedModel(version)
    vectors = model("embed_items", item_ids=[f"item-{number}" for number in range(ITEMS)])["embeddings"]
    matmul = bare(vectors)
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
            client = stack.enter_context(Client(server.grpc_address, "made"))
            channel = stack.enter_context(grpc.insecure_channel(server.grpc_address))
            methods[name] = channel.unary_unary(PREDICT)
        differences = {name: largest_difference(method, questions, model) for name, method in methods.items()}
        progress(f"largest difference of scores: {differences}")
        transport = stack.enter_context(answering(methods["served"](requests[0])))

        def run(inputs: dict[str, np.ndarray]) -> Any:
            return model.run("retrieve", inputs)

        tasks: dict[str, Callable[[], Load]] = {
            "matmul_top_k": lambda: one_by_one(matmul, queries, count),
            "in_process": lambda: one_by_one(run, arrays, count),
            "in_process_after_it": lambda: one_by_one(run, arrays, count, lambda: transport(requests[0])),
            "transport": lambda: one_by_one(transport, requests, count),
            "client": lambda: one_by_one(lambda question: client.predict("retrieve", question), questions, count),
        }
        for name, method in methods.items():
            tasks[f"{name}_1"] = lambda method=method: one_by_one(method, requests, count)  # type: ignore[misc]
            for many in CONCURRENCY[1:]:
                tasks[f"{name}_{many}"] = lambda method=method, many=many: at_once(  # type: ignore[misc]
                    method, requests, many, count=2 * count
                )
        found = take_turns(tasks, turns)
        progress(f"{seconds:.0f} s of {CONCURRENCY[-1]} at a time")
        sustained = at_once(methods["batched"], requests, CONCURRENCY[-1], seconds=seconds)
    p50 = {name: load["p50_ms"] for name, load in found.items()}
    return {
        "benchmark": "serving",
        "items": ITEMS,
        "dim": DIM,
        "top_k": TOP_K,
        "measured": found,
        "ratios": {
            "served_1_p50_to_in_process": p50["served_1"] / p50["in_process"],
            "served_1_p50_to_transport_and_then_in_process": p50["served_1"]
            / (p50["transport"] + p50["in_process_after_it"]),
            "client_p50_to_in_process": p50["client"] / p50["in_process"],
            "rate_batched_32_to_served_1": found["batched_32"]["per_second"] / found["served_1"]["per_second"],
            "rate_batched_32_to_batched_1": found["batched_32"]["per_second"] / found["batched_1"]["per_second"],
            "in_process_p50_to_matmul_top_k": p50["in_process"] / p50["matmul_top_k"],
        },
        "largest_difference_of_scores": differences,
        "starts": first_answers(version, made_questions(ROWS[-1]), starts),
        "sustained": {"seconds": sustained.seconds, "answers": len(sustained.latencies)} | sustained.summary(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Serving speed of the embedded model server.")
    parser.add_argument("--record", action="store_true", help="keep the result in results/")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument(
        "--count", type=int, default=150, help="requests a turn, twice as many where several are in flight"
    )
    parser.add_argument("--seconds", type=float, default=60, help="of the run that counts failed requests")
    parser.add_argument("--starts", type=int, default=5, help="fresh servers of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.turns, options.count, options.seconds, options.starts)
    report(rounded(result), "serving" if options.record else None)


if __name__ == "__main__":
    main()
