"""How fast are the best of a million items found?

    python -m benchmarks.serving.top_k [--record]

A million vectors of 64 dimensions around a thousand centres, top-100, in a TensorFlow session of this process as TF
Serving has it: the matrix product alone, with `tf.math.top_k` of all scores, with `tfllmrec.layers.top_items.top_k`,
which looks for the best groups of items first and has the same answer, to the last tie, and what an export with
`index="scann"` has instead of all three, which is approximate. They take turns. Prints one JSON line: p50 of each at
several batch sizes, how many times as long the plain one takes, and which share of the exact answers ScaNN finds for
queries that did not choose how many leaves it searches. Asked for: twice at a batch of 32.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.common import report
from benchmarks.serving.load import one_by_one, rounded, take_turns
from tfllmrec.export.ops import SCANN
from tfllmrec.export.scann_index import ScannIndex
from tfllmrec.layers.top_items import top_k
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel

DIM, TOP_K, CENTRES, ASKED = 64, 100, 1000, 1000
WAYS: dict[str, Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {
    "scores": lambda scores: {"highest": tf.reduce_max(scores, axis=1)},
    "plain": lambda scores: dict(zip(("scores", "items"), tf.math.top_k(scores, TOP_K), strict=True)),
    "two_stage": lambda scores: dict(zip(("scores", "items"), top_k(scores, TOP_K), strict=True)),
}


def made_vectors(random: np.random.Generator, count: int) -> np.ndarray:
    """As far from one of the centres, the same for every call, as centres are from zero."""
    centres = np.random.default_rng(0).normal(size=(CENTRES, DIM)).astype(np.float32)
    return centres[random.integers(0, CENTRES, count)] + random.normal(size=(count, DIM)).astype(np.float32)


def made_export(folder: Path, items: int) -> tuple[Path, ScannIndex]:
    """The same product and what is made of it, and an approximate index of the items, as a signature each."""
    module, query = tf.Module(), tf.TensorSpec([None, DIM], tf.float32, "query")
    random = np.random.default_rng(1)
    vectors = np.pad(made_vectors(random, items), [(1, 0), (0, 0)])
    module.table = tf.Variable(vectors, trainable=False)
    module.index = ScannIndex(vectors, made_vectors(random, ASKED), TOP_K)

    def signature(way: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> Any:
        return tf.function(
            lambda query: way(tf.matmul(query, module.table, transpose_b=True)),
            input_signature=[query],
            autograph=False,
        )

    def approximate(query: tf.Tensor) -> dict[str, tf.Tensor]:
        nothing = tf.zeros([tf.shape(query)[0], 0], tf.int32)
        return dict(zip(("items", "scores"), module.index(query, nothing, TOP_K), strict=True))

    path = folder / "made" / "1"
    signatures = {name: signature(way) for name, way in WAYS.items()}
    signatures["scann"] = tf.function(approximate, input_signature=[query], autograph=False)
    options = tf.saved_model.SaveOptions(namespace_whitelist=[SCANN])
    tf.saved_model.save(module, str(path), signatures=signatures, options=options)
    return path, module.index


def recall(model: ServedModel, queries: np.ndarray) -> float:
    """The share of the exact answers that ScaNN finds, in batches as large as memory bears."""
    shares = []
    for some in np.array_split(queries, len(queries) // 25):
        exact, found = (model.run(name, {"query": some})["items"] for name in ("two_stage", "scann"))
        # Columns of the product begin with the padding's, so both have item indices.
        shares += [len({*row} & {*other}) / TOP_K for row, other in zip(exact, found, strict=True)]
    return float(np.mean(shares))


def measure(folder: Path, items: int, batches: list[int], turns: int) -> dict[str, Any]:
    with suppress_stderr():
        path, index = made_export(folder, items)
        model = ServedModel(path)
    random, found = np.random.default_rng(2), {}
    for rows in batches:
        asked = [{"query": made_vectors(random, rows)} for _ in range(4)]
        for one in asked:
            plain, staged = (model.run(name, one) for name in ("plain", "two_stage"))
            assert all((plain[key] == staged[key]).all() for key in plain), "the answers differ"

        def task(name: str, asked: list[dict[str, np.ndarray]] = asked) -> Callable[[], Any]:
            return lambda: one_by_one(lambda inputs: model.run(name, inputs), asked, len(asked))

        p50 = {
            name: load["p50_ms"]
            for name, load in take_turns({name: task(name) for name in (*WAYS, "scann")}, turns).items()
        }
        selection = {name: p50[name] - p50["scores"] for name in ("plain", "two_stage")}
        found[str(rows)] = {
            "p50_ms": p50,
            "plain_to_two_stage": p50["plain"] / p50["two_stage"],
            "without_the_product": selection["plain"] / selection["two_stage"],
            "two_stage_to_scann": p50["two_stage"] / p50["scann"],
        }
    approximate = {
        "leaves": index.leaves,
        "searched": index.searched,
        "recall": recall(model, made_vectors(random, ASKED)),
    }
    sizes = {"items": items, "dim": DIM, "top_k": TOP_K}
    return {"benchmark": "top_k"} | sizes | {"batches": found, "scann": approximate}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--record", action="store_true", help="keep the result in results/")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.items, options.batches, options.turns)
    report(rounded(result), "top_k" if options.record else None)


if __name__ == "__main__":
    main()
