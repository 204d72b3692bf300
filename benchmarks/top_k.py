"""How fast are the best of a million items found?

    python benchmarks/top_k.py [--record]

A million vectors of 64 dimensions, top-100, in a TensorFlow session of this process as TF Serving has it: the matrix
product alone, with `tf.math.top_k` of all scores, and with `tfllmrec.models.top_items.top_k`, which looks for the best
groups of items first and has the same answer, to the last tie. They take turns. Prints one JSON line: p50 of each at
several batch sizes, and how many times as long the plain one takes. Asked for: twice at a batch of 32.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfllmrec.quiet import quiet_tensorflow, silent_stderr

quiet_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from common import report  # noqa: E402
from load import one_by_one, rounded, take_turns  # noqa: E402

from tfllmrec.models.top_items import top_k  # noqa: E402
from tfllmrec.serving.session import ServedModel  # noqa: E402

DIM, TOP_K = 64, 100
WAYS: dict[str, Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {
    "scores": lambda scores: {"highest": tf.reduce_max(scores, axis=1)},
    "plain": lambda scores: dict(zip(("scores", "items"), tf.math.top_k(scores, TOP_K), strict=True)),
    "two_stage": lambda scores: dict(zip(("scores", "items"), top_k(scores, TOP_K), strict=True)),
}


def made_export(folder: Path, items: int) -> Path:
    """The same product, and what is made of it as a signature each."""
    module, query = tf.Module(), tf.TensorSpec([None, DIM], tf.float32, "query")
    module.table = tf.Variable(tf.random.stateless_normal([items + 1, DIM], [0, 0]), trainable=False)

    def signature(way: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> Any:
        return tf.function(
            lambda query: way(tf.matmul(query, module.table, transpose_b=True)),
            input_signature=[query],
            autograph=False,
        )

    path = folder / "made" / "1"
    tf.saved_model.save(module, str(path), signatures={name: signature(way) for name, way in WAYS.items()})
    return path


def measure(folder: Path, items: int, batches: list[int], turns: int) -> dict[str, Any]:
    with silent_stderr():
        model = ServedModel(made_export(folder, items))
    random, found = np.random.default_rng(0), {}
    for rows in batches:
        asked = [{"query": random.normal(size=(rows, DIM)).astype(np.float32)} for _ in range(4)]
        for one in asked:
            plain, staged = (model.run(name, one) for name in ("plain", "two_stage"))
            assert all((plain[key] == staged[key]).all() for key in plain), "the answers differ"

        def task(name: str, asked: list[dict[str, np.ndarray]] = asked) -> Callable[[], Any]:
            return lambda: one_by_one(lambda inputs: model.run(name, inputs), asked, len(asked))

        p50 = {name: load["p50_ms"] for name, load in take_turns({name: task(name) for name in WAYS}, turns).items()}
        selection = {name: p50[name] - p50["scores"] for name in ("plain", "two_stage")}
        found[str(rows)] = {
            "p50_ms": p50,
            "plain_to_two_stage": p50["plain"] / p50["two_stage"],
            "without_the_product": selection["plain"] / selection["two_stage"],
        }
    return {"benchmark": "top_k", "items": items, "dim": DIM, "top_k": TOP_K, "batches": found}


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
