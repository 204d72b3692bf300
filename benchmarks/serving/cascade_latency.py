"""Latency of a cascade for one user, and the shares of its parts.

    python -m benchmarks.serving.cascade_latency [--record]

50,000 synthetic items; `two_tower` and `next_item` retrieve 250 candidates each, `bert_ranker` scores the best 100 of
their union, top-100. One request at a time, in a TensorFlow session of this process as in TF Serving:

- `recommend`: the exported signature, from string ids to ids, titles and scores;
- `recommend_ids`: its int32 core;
- `two_tower`, `next_item`: their scores of all items; `bert_ranker`: its scores of 100 candidates; `models`: all three
  in one graph, the ranker after the retrievers, so that they compete for caches as in the cascade.

The modes take turns, so that other work on the machine affects all of them.

Prints one JSON line: latencies of each mode, and the shares of `recommend` that are models, strings (`recommend` beyond
its core) and merging (the core beyond the models). Target: strings and merging at most a fifth each. It takes three
minutes.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.serving.load import one_by_one, rounded, take_turns
from tfllmrec import BertRanker, Cascade, Dataset, NextItem, TwoTower
from tfllmrec.content.small_bert import train_small_bert
from tfllmrec.export import export
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel

USERS, POPULAR, TOP_K, CANDIDATES, RANKED = 2_000, 50, 100, 250, 100


def synthetic_cascade(folder: Path, items: int) -> Cascade:
    """Fit the parts for one epoch. Users have distinct items first, then items that many users share."""
    random = np.random.default_rng(0)
    names = np.array([f"item-{number}" for number in range(items)])
    titles = [" ".join(words) for words in random.choice([f"word{number}" for number in range(500)], (items, 4))]
    users = np.arange(USERS)
    sequence = np.concatenate([np.arange(items), *(users % POPULAR + turn for turn in range(3))])
    data = Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": [f"user-{user}" for user in (*(np.arange(items) % USERS), *np.tile(users, 3))],
                "item_id": names[sequence],
                "timestamp": np.arange(len(sequence)),
            }
        ).drop_duplicates(["user_id", "item_id"]),
        pd.DataFrame({"item_id": names, "title": titles}),
    )
    train_small_bert(titles[:1000], epochs=1).save(folder / "bert")
    towers: dict[str, Any] = {"dim": 64, "epochs": 1, "negatives": "sampled", "history_length": 50}
    parts = {
        "two_tower": TwoTower(**towers),
        "next_item": NextItem(dim=64, units=64, history_length=50, negatives="sampled", epochs=1),
        "ranker": BertRanker(backbone=str(folder / "bert"), towers=towers, epochs=1, finetune_epochs=1),
    }
    for name, part in parts.items():
        progress(f"fitting {name}")
        part.fit(data, verbose=0)
    retrievers = [parts["two_tower"], parts["next_item"]]
    ranker = parts["ranker"]
    cascade = Cascade(retrievers=retrievers, ranker=ranker, candidates=CANDIDATES, ranked=RANKED, weights=(1, 1, 1))
    return cascade.fit(data, verbose=0)


def bare_export(folder: Path, models: dict[str, keras.Model]) -> Path:
    """Export models from indices to scores: each alone, and all in one graph, the last one after the others."""

    class Bare(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights_ = [variable.value for model in models.values() for variable in model.variables]

        def function(self, model: keras.Model) -> Any:
            return self._function(model, lambda inputs: model(inputs, training=False))

        def together(self) -> Any:
            *retrievers, ranker = models.values()

            def scores(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
                query = {name: inputs[name] for name in ("user", "history")}
                highest = tf.add_n([tf.reduce_max(model(query, training=False)) for model in retrievers])
                zero = tf.cast(highest == tf.float32.max, tf.int32)  # makes the ranker wait for the retrievers
                return ranker(inputs | {"candidates": inputs["candidates"] + zero}, training=False)

            return self._function(ranker, scores)

        def _function(self, model: keras.Model, score: Callable[[dict[str, tf.Tensor]], tf.Tensor]) -> Any:
            names = list(model.input)
            specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in model.input.items()]

            def signature(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
                return {"scores": score(dict(zip(names, inputs, strict=True)))}

            return tf.function(signature, input_signature=specs, autograph=False)

    module, path = Bare(), folder / "bare" / "1"
    functions = {name: module.function(model) for name, model in models.items()} | {"models": module.together()}
    tf.saved_model.save(module, str(path), signatures=functions)
    return path


def measure(folder: Path, items: int, turns: int, count: int) -> dict[str, Any]:
    cascade = synthetic_cascade(folder, items)
    assert cascade.ranker is not None, "created with a ranker"
    models = {model.family: model.scorer for model in cascade.retrievers}
    models["bert_ranker"] = cascade.ranker.built.candidate_scorer
    with suppress_stderr():
        whole = ServedModel(export(cascade, folder / "films", top_k=TOP_K))
        bare = ServedModel(bare_export(folder, models))
    random, length = np.random.default_rng(1), cascade.history_length
    histories = random.integers(1, items + 1, (100, 1, length)).astype(np.int32)
    candidates = random.integers(1, items + 1, (100, 1, RANKED)).astype(np.int32)
    unknown = np.zeros(1, np.int32)
    indices = [{"user": unknown, "history": history} for history in histories]
    requests: dict[str, list[dict[str, np.ndarray]]] = {
        "recommend": [
            {
                "user_id": np.array([b""], object),
                "history": np.array([[b"item-%d" % (item - 1) for item in history[0]]], object),
                "exclude_item_ids": np.array([[b""]], object),
            }
            for history in histories
        ],
        "recommend_ids": [query | {"exclude": history} for query, history in zip(indices, histories, strict=True)],
        "two_tower": indices,
        "next_item": indices,
        "bert_ranker": [query | {"candidates": row} for query, row in zip(indices, candidates, strict=True)],
    }
    requests["models"] = requests["bert_ranker"]

    def task(name: str) -> Callable[[], Any]:
        model = whole if name.startswith("recommend") else bare
        return lambda: one_by_one(lambda inputs: model.run(name, inputs), requests[name], count)

    measured = take_turns({name: task(name) for name in requests}, turns)
    total, core, compute = (measured[name]["p50_ms"] for name in ("recommend", "recommend_ids", "models"))
    shares = {
        "models": compute / total,
        "strings": (total - core) / total,
        "merging": (core - compute) / total,
    }
    sizes = {"items": items, "top_k": TOP_K, "candidates": 2 * CANDIDATES, "ranked": RANKED, "history": length}
    return {"benchmark": "cascade_latency"} | sizes | {"measured": measured, "shares": shares}


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="size of the catalog")
    parser.add_argument("--turns", type=int, default=20, help="number of turns that count")
    parser.add_argument("--count", type=int, default=50, help="requests per turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.items, options.turns, options.count)
    report(rounded(result), "cascade_latency" if options.record else None)


if __name__ == "__main__":
    main()
