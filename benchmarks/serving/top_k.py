"""Latency of finding the best 100 of a million items: exact in one and in two stages, and approximate with ScaNN.

    python -m benchmarks.serving.top_k [--record]

A million vectors of 64 dimensions around a thousand centers, in a TensorFlow session of this process as in TF Serving.
The modes take turns:

- `scores`: the matrix product alone;
- `plain`: with `tf.math.top_k` of all scores;
- `two_stage`: with `tfllmrec.layers.top_items.top_k`, which selects the best groups of items first and returns exactly
  the same results, ties included;
- `scann`: the approximate index of an export with `index="scann"`.

Prints one JSON line: p50 of each mode per batch size, ratios, and the recall of ScaNN for queries that were not used to
choose how many leaves it searches. Target: `two_stage` twice as fast as `plain` at batch size 32. It takes one minute.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.common import benchmark_parser, report
from benchmarks.serving.load import one_by_one, rounded, take_turns
from tfllmrec.export.ops import SCANN
from tfllmrec.export.scann_index import ScannIndex
from tfllmrec.layers.top_items import top_k
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel

DIM, TOP_K, CENTERS, QUERIES = 64, 100, 1000, 1000
MODES: dict[str, Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {
    "scores": lambda scores: {"highest": tf.reduce_max(scores, axis=1)},
    "plain": lambda scores: dict(zip(("scores", "items"), tf.math.top_k(scores, TOP_K), strict=True)),
    "two_stage": lambda scores: dict(zip(("scores", "items"), top_k(scores, TOP_K), strict=True)),
}


def random_vectors(random: np.random.Generator, count: int) -> np.ndarray:
    """Return vectors around random centers, which are the same for every call and have the same scale."""
    centers = np.random.default_rng(0).normal(size=(CENTERS, DIM)).astype(np.float32)
    return centers[random.integers(0, CENTERS, count)] + random.normal(size=(count, DIM)).astype(np.float32)


def export_modes(folder: Path, items: int) -> tuple[Path, ScannIndex]:
    """Export one signature per mode, and return the folder and the ScaNN index."""
    module, query = tf.Module(), tf.TensorSpec([None, DIM], tf.float32, "query")
    random = np.random.default_rng(1)
    vectors = np.pad(random_vectors(random, items), [(1, 0), (0, 0)])
    module.table = tf.Variable(vectors, trainable=False)
    module.index = ScannIndex(vectors, random_vectors(random, QUERIES), TOP_K)

    def signature(mode: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> Any:
        return tf.function(
            lambda query: mode(tf.matmul(query, module.table, transpose_b=True)),
            input_signature=[query],
            autograph=False,
        )

    def approximate(query: tf.Tensor) -> dict[str, tf.Tensor]:
        no_exclusions = tf.zeros([tf.shape(query)[0], 0], tf.int32)
        return dict(zip(("items", "scores"), module.index(query, no_exclusions, TOP_K), strict=True))

    path = folder / "top_k" / "1"
    signatures = {name: signature(mode) for name, mode in MODES.items()}
    signatures["scann"] = tf.function(approximate, input_signature=[query], autograph=False)
    options = tf.saved_model.SaveOptions(namespace_whitelist=[SCANN])
    tf.saved_model.save(module, str(path), signatures=signatures, options=options)
    return path, module.index


def recall(model: ServedModel, queries: np.ndarray) -> float:
    """Return the share of the exact results that ScaNN finds, in batches of 25 queries, which bound the memory."""
    shares = []
    for batch in np.array_split(queries, len(queries) // 25):
        exact, approximate = (model.run(name, {"query": batch})["items"] for name in ("two_stage", "scann"))
        # The first column of the product is the padding, so both return item indices.
        shares += [len({*row} & {*other}) / TOP_K for row, other in zip(exact, approximate, strict=True)]
    return float(np.mean(shares))


def measure(folder: Path, items: int, batches: list[int], turns: int) -> dict[str, Any]:
    with suppress_stderr():
        path, index = export_modes(folder, items)
        model = ServedModel(path)
    random, by_batch = np.random.default_rng(2), {}
    for rows in batches:
        requests = [{"query": random_vectors(random, rows)} for _ in range(4)]
        for request in requests:
            plain, staged = (model.run(name, request) for name in ("plain", "two_stage"))
            assert all((plain[key] == staged[key]).all() for key in plain), "the results differ"

        def task(name: str, requests: list[dict[str, np.ndarray]] = requests) -> Callable[[], Any]:
            return lambda: one_by_one(lambda inputs: model.run(name, inputs), requests, len(requests))

        p50 = {
            name: load["p50_ms"]
            for name, load in take_turns({name: task(name) for name in (*MODES, "scann")}, turns).items()
        }
        selection = {name: p50[name] - p50["scores"] for name in ("plain", "two_stage")}
        by_batch[str(rows)] = {
            "p50_ms": p50,
            "plain_to_two_stage": p50["plain"] / p50["two_stage"],
            "without_the_product": selection["plain"] / selection["two_stage"],
            "two_stage_to_scann": p50["two_stage"] / p50["scann"],
        }
    scann = {
        "leaves": index.leaves,
        "searched": index.searched,
        "recall": recall(model, random_vectors(random, QUERIES)),
    }
    sizes = {"items": items, "dim": DIM, "top_k": TOP_K}
    return {"benchmark": "top_k"} | sizes | {"batches": by_batch, "scann": scann}


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--items", type=int, default=1_000_000, help="number of vectors")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="batch sizes")
    parser.add_argument("--turns", type=int, default=10, help="number of turns that count")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.items, options.batches, options.turns)
    report(rounded(result), "top_k" if options.record else None)


if __name__ == "__main__":
    main()
