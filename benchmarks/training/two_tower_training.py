"""Training speed of two-tower models, compared with the patterns of the TFRS tutorials.

    python -m benchmarks.training.two_tower_training

Both sides have the same examples, batch size, dimension, optimizer (Adagrad) and loss (in-batch softmax without
corrections).

- "tfllmrec": ids mapped to indices once, `next_item_batches` (reshuffled every epoch), `RetrievalModel`, Keras 3
  `fit`. "corrected" adds the defaults of the package: logQ, and accidental hits removed.
- TFRS with Keras 2: string ids, `Sequential([StringLookup, Embedding])` towers, `tfrs.Model`, `fit`.
- "quick_start" follows the quick start literally: `ratings.batch(B)`, and `FactorizedTopK` in every training step,
  because `task(query, candidate)` computes it. It is slow and is timed on four steps.
- "no_metrics" leaves the metric out of training, as later tutorials do, and shuffles: `shuffle(100_000).batch(B)`.
- "no_metrics_cached" caches these batches, as the retrieval tutorial does: all epochs have the same batches.

Features "ids": user id and item id, as in the quick start. Features "history": the mean of the last 10 items and the
item; TFRS maps the strings inside the query tower.

Prints one JSON line: examples per second and ratios for all patterns (`runs`) by wall-clock time and by CPU time, which
depends little on other work on the machine; `ratio` is tfllmrec to "quick_start" with ids at the first batch size
(4,096, as in the quick start). Seconds are medians of epochs; the patterns take turns, and a first epoch of each does
not count. Target: a ratio of 1.5. Expected: far more against "quick_start"; about 1 against "no_metrics" with large
batches, where the softmax is nearly all the work; less than 1 against "no_metrics_cached" with ids. It takes five
minutes on the demo data.
"""

import argparse
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common import benchmark_parser, load_or_generate, report, time_all
from tfllmrec.data import Dataset, Histories
from tfllmrec.data.batches import next_item_batches
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.negatives import Candidates, in_batch
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel

Epoch = Callable[[], Any]

HISTORY_LENGTH = 10
LEARNING_RATE = 0.1
QUICK_START_STEPS = 4


def main() -> None:
    arguments = _arguments()
    data = load_or_generate(arguments.data)
    runs = [
        _compare(data, feature, batch, arguments.dim, arguments.repeats)
        for feature in arguments.features
        for batch in arguments.batch_size
    ]
    headline = runs[0]["ratio"]["quick_start"]
    result = {"benchmark": "two_tower_training", "data": arguments.data, "dim": arguments.dim} | data.summary()
    report(result | {"ratio": headline, "runs": runs}, "two_tower_training" if arguments.record else None)


def _compare(data: Dataset, feature: str, batch: int, dim: int, repeats: int) -> dict[str, Any]:
    """Return examples per second of all patterns, and the ratios of tfllmrec to them."""
    table = _string_table(data)
    examples = len(table["item_id"])
    few = {name: values[: QUICK_START_STEPS * batch] for name, values in table.items()}
    patterns: dict[str, tuple[int, Epoch]] = {
        "tfllmrec": (examples, _tfllmrec(data, feature, batch, dim, corrected=False)),
        "corrected": (examples, _tfllmrec(data, feature, batch, dim, corrected=True)),
        "quick_start": (len(few["item_id"]), _tfrs(data, few, feature, dim, _in_order(batch), metrics=True)),
        "no_metrics": (examples, _tfrs(data, table, feature, dim, _shuffled(batch), metrics=False)),
        "no_metrics_cached": (examples, _tfrs(data, table, feature, dim, _cached(batch), metrics=False)),
    }
    seconds = time_all({f"{feature} {batch} {name}": epoch for name, (_, epoch) in patterns.items()}, repeats)
    sizes = [count for count, _ in patterns.values()]
    speed = {
        kind: {name: count / each[clock] for name, count, each in zip(patterns, sizes, seconds.values(), strict=True)}
        for clock, kind in enumerate(("wall", "cpu"))
    }
    return {
        "features": feature,
        "batch_size": batch,
        "examples_per_second": {name: round(value) for name, value in speed["wall"].items()},
        "ratio": _ratios(speed["wall"]),
        "cpu_ratio": _ratios(speed["cpu"]),
    }


def _ratios(speed: dict[str, float]) -> dict[str, float]:
    return {name: round(speed["tfllmrec"] / value, 2) for name, value in speed.items() if name != "tfllmrec"}


def _string_table(data: Dataset) -> dict[str, np.ndarray]:
    """Return the examples of `next_item_batches` in the format of the tutorials: string ids, shuffled once."""
    positions = np.flatnonzero(data.interactions.duplicated("user_id"))  # all but the first of each user
    positions = np.random.default_rng(0).permutation(positions)
    starts = np.maximum(data.histories.offsets[data.user_indices[positions]], positions - HISTORY_LENGTH)
    histories = Histories(data.item_indices, np.arange(1)).slices(starts, positions).most_recent(HISTORY_LENGTH)
    return {
        "user_id": data.user_vocabulary.ids(data.user_indices[positions]).astype(str),
        "history": data.item_vocabulary.ids(histories).astype(str),
        "item_id": data.item_vocabulary.ids(data.item_indices[positions]).astype(str),
    }


def _tfllmrec(data: Dataset, feature: str, batch: int, dim: int, *, corrected: bool) -> Epoch:
    """Return a function that trains for one epoch as this package does."""
    users, items = len(data.user_vocabulary), len(data.item_vocabulary)
    if feature == "ids":
        inputs = {"user": keras.Input((), dtype="int32", name="user")}
        query = keras.layers.Embedding(users + 1, dim)(inputs["user"])
    else:
        inputs = {"history": keras.Input((HISTORY_LENGTH,), dtype="int32", name="history")}
        vectors = keras.layers.Embedding(items + 1, dim, mask_zero=True)(inputs["history"])
        query = keras.layers.GlobalAveragePooling1D()(vectors)
    item = keras.Input((), dtype="int32", name="item")
    model = RetrievalModel(
        keras.Model(inputs, query),
        keras.Model(item, keras.layers.Embedding(items + 1, dim)(item)),
        Retrieval(remove_accidental_hits=corrected),
        in_batch(data.item_counts) if corrected else Candidates,
    )
    model.compile(keras.optimizers.Adagrad(LEARNING_RATE), jit_compile=False)
    name = next(iter(inputs))
    batches = next_item_batches(data, HISTORY_LENGTH, batch).map(lambda features, item: ({name: features[name]}, item))
    return lambda: model.fit(batches, shuffle=False, verbose=0)


def _tfrs(
    data: Dataset,
    table: dict[str, np.ndarray],
    feature: str,
    dim: int,
    to_batches: Callable[[tf.data.Dataset], tf.data.Dataset],
    *,
    metrics: bool,
) -> Epoch:
    """Return a function that trains for one epoch as the TFRS tutorials do, with Keras 2."""
    tfrs = import_tfrs()
    source = "user_id" if feature == "ids" else "history"
    rows = tf.data.Dataset.from_tensor_slices({name: table[name] for name in ("item_id", source)})
    ratings = rows.map(lambda row: {"item_id": row["item_id"], source: row[source]})
    movies = tf.data.Dataset.from_tensor_slices(data.item_vocabulary.tokens[1:].astype(str))
    with legacy_keras():
        vocabulary = data.user_vocabulary if feature == "ids" else data.item_vocabulary
        query_model = _lookup_tower(vocabulary.tokens[1:].astype(str), dim, pooled=feature == "history")
        item_model = _lookup_tower(data.item_vocabulary.tokens[1:].astype(str), dim, pooled=False)
        task = tfrs.tasks.Retrieval(metrics=tfrs.metrics.FactorizedTopK(movies.batch(128).map(item_model)))

        class Model(tfrs.Model):  # type: ignore[name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.query_model, self.item_model, self.task = query_model, item_model, task

            def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
                query, item = self.query_model(features[source]), self.item_model(features["item_id"])
                return self.task(query, item, compute_metrics=metrics or not training)

        model = Model()
        model.compile(optimizer=tf.keras.optimizers.Adagrad(LEARNING_RATE))
    batches = to_batches(ratings)

    def epoch() -> None:
        with legacy_keras():
            model.fit(batches, verbose=0)

    return epoch


def _lookup_tower(ids: np.ndarray, dim: int, *, pooled: bool) -> Any:
    """Return a tower from string ids to vectors, or to the mean vector of rows; call it inside `legacy_keras`."""
    layers = tf.keras.layers
    mask = "" if pooled else None
    lookup = layers.StringLookup(vocabulary=ids, mask_token=mask)
    embedding = layers.Embedding(lookup.vocabulary_size(), dim, mask_zero=pooled)
    return tf.keras.Sequential([lookup, embedding, *([layers.GlobalAveragePooling1D()] if pooled else [])])


def _in_order(batch: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    return lambda ratings: ratings.batch(batch)


def _shuffled(batch: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    return lambda ratings: ratings.shuffle(100_000).batch(batch)


def _cached(batch: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    return lambda ratings: ratings.shuffle(100_000).batch(batch).cache()


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="demo", help="synthetic, the name of a data set, or its folder")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch-size", nargs="+", type=int, default=[4096, 512])
    parser.add_argument("--features", nargs="+", choices=["ids", "history"], default=["ids", "history"])
    parser.add_argument("--repeats", type=int, default=3, help="number of turns; medians are reported")
    return parser.parse_args()


if __name__ == "__main__":
    main()
