"""Latency that strings, look-ups, exclusions and titles add to a next-item model.

    python -m benchmarks.serving.next_item_latency [--record]

50,000 synthetic items, top-100, one request at a time, in a TensorFlow session of this process as in TF Serving:

- `bare`: indices to indices: look-up of item vectors, an LSTM, one matrix product, top-k;
- `next_items`: the exported signature, from prepared arrays of string ids to ids, titles and scores;
- `next_items_ids`: its int32 core.

All modes have the same widths and full histories, and take turns, so that other work on the machine affects all of
them.

Prints one JSON line: latencies of each mode and ratios of p50 to `bare`. Target: `next_items` at most 1.5. It takes one
minute.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.common import benchmark_parser, report
from benchmarks.serving.load import one_by_one, rounded, take_turns
from tfllmrec import Dataset, NextItem
from tfllmrec.export import export
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel

ITEMS, USERS, TOP_K = 50_000, 1_000, 100


def synthetic_export(folder: Path, dim: int, history_length: int) -> Path:
    """Fit a model for one epoch and export it; every item occurs in the history of one user."""
    names = [f"item-{number}" for number in range(ITEMS)]
    users = np.arange(ITEMS) % USERS
    data = Dataset.from_frames(
        pd.DataFrame({"user_id": [f"user-{user}" for user in users], "item_id": names, "timestamp": np.arange(ITEMS)}),
        pd.DataFrame({"item_id": names, "title": [f"The title of item {number}" for number in range(ITEMS)]}),
    )
    model = NextItem(dim=dim, units=dim, history_length=history_length, negatives="sampled", epochs=1)
    return export(model.fit(data, verbose=0), folder / "films", top_k=TOP_K)


def bare_export(folder: Path, dim: int, history_length: int) -> Path:
    """Export a model of the same size from indices to indices."""
    lstm = keras.layers.LSTM(dim, use_cudnn=False)
    lstm.build((None, history_length, dim))

    class Bare(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights_ = [variable.value for variable in lstm.variables]
            self.table = tf.Variable(tf.random.normal([ITEMS + 1, dim], stddev=0.05))

        @tf.function(input_signature=[tf.TensorSpec([None, history_length], tf.int32, "history")])
        def next_items(self, history: tf.Tensor) -> dict[str, tf.Tensor]:
            state = lstm(tf.gather(tf.convert_to_tensor(self.table), history))
            scores, items = tf.math.top_k(tf.matmul(state, self.table, transpose_b=True), TOP_K)
            return {"items": items, "scores": scores}

    path, module = folder / "bare" / "1", Bare()
    tf.saved_model.save(module, str(path), signatures={"bare": module.next_items})
    return path


def measure(folder: Path, dim: int, history_length: int, turns: int, count: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    histories = random.integers(1, ITEMS + 1, (100, 1, history_length)).astype(np.int32)
    indices = [{"history": history, "exclude": np.zeros((1, 1), np.int32)} for history in histories]
    strings = [
        {
            "history": np.array([[b"item-%d" % (item - 1) for item in history[0]]], object),
            "exclude_item_ids": np.array([[b""]], object),
        }
        for history in histories
    ]
    with suppress_stderr():
        full = ServedModel(synthetic_export(folder, dim, history_length))
        bare = ServedModel(bare_export(folder, dim, history_length))
    measured = take_turns(
        {
            "bare": lambda: one_by_one(lambda inputs: bare.run("bare", {"history": inputs["history"]}), indices, count),
            "next_items": lambda: one_by_one(lambda inputs: full.run("next_items", inputs), strings, count),
            "next_items_ids": lambda: one_by_one(lambda inputs: full.run("next_items_ids", inputs), indices, count),
        },
        turns,
    )
    ratios = {name: measured[name]["p50_ms"] / measured["bare"]["p50_ms"] for name in ("next_items", "next_items_ids")}
    sizes = {"items": ITEMS, "top_k": TOP_K, "dim": dim, "history": history_length}
    return {"benchmark": "next_item_latency"} | sizes | {"measured": measured, "p50_to_bare": ratios}


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--history", type=int, default=50)
    parser.add_argument("--turns", type=int, default=20, help="number of turns that count")
    parser.add_argument("--count", type=int, default=100, help="requests per turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.dim, options.history, options.turns, options.count)
    report(rounded(result), "next_item_latency" if options.record else None)


if __name__ == "__main__":
    main()
