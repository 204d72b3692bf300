"""How many examples a second does a two-tower model train on, here and in the pattern of the TFRS quick-start?

    python -m benchmarks.training.two_tower_training

Same examples, batch size, dimension, optimizer (Adagrad) and loss (in-batch softmax, no corrections) on both sides.

- tfllmrec: ids looked up once, `next_item_batches` (every epoch in an order of its own), `RetrievalModel`, Keras 3
  `fit`. "corrected" is the same as the package trains by default: logQ, and accidental hits removed.
- TFRS, Keras 2: string ids, `Sequential([StringLookup, Embedding])` towers, `tfrs.Model`, `fit`.
  "quick_start" is the quick-start to the letter: `ratings.batch(B)`, and `FactorizedTopK` in every training step, for
  that is what `task(query, candidate)` does. It is slow and timed on four steps.
  "no_metrics" leaves the metric out of training, as later tutorials do, and shuffles: `shuffle(100_000).batch(B)`.
  "no_metrics_cached" caches these batches, as the retrieval tutorial does: every epoch has the same batches again.

Features "ids": user id against item id, as in the quick-start. Features "history": the mean of the last 10 items
against the item; TFRS looks the strings up inside the query tower.

Headline `ratio`: tfllmrec to "quick_start" with ids at the first batch size (4,096 is the quick-start's). Ratios to
all patterns stand in `runs`, by the clock and by the CPU time of all threads, which other work on the machine hardly
changes; medians of epochs that all take in turns, after one epoch each. Prints one JSON line. Asked for: a ratio of
1.5. Expected: far more against "quick_start"; about 1 against "no_metrics" in large batches, where the softmax is
nearly all the work on both sides; less than 1 against "no_metrics_cached" with ids. Five minutes on the demo data.
"""

import argparse
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common import load_or_make, report, time_all
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
    data = load_or_make(arguments.data)
    runs = [
        _compare(data, feature, batch, arguments.dim, arguments.repeats)
        for feature in arguments.features
        for batch in arguments.batch_size
    ]
    headline = runs[0]["ratio"]["quick_start"]
    result = {"benchmark": "two_tower_training", "data": arguments.data, "dim": arguments.dim} | data.summary()
    report(result | {"ratio": headline, "runs": runs}, "two_tower_training" if arguments.record else None)


def _compare(data: Dataset, feature: str, batch: int, dim: int, repeats: int) -> dict[str, Any]:
    """Examples a second of all patterns, and how many times as fast tfllmrec is."""
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
        kind: {name: count / each[place] for name, count, each in zip(patterns, sizes, seconds.values(), strict=True)}
        for place, kind in enumerate(("wall", "cpu"))
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
    """The examples of `next_item_batches` as TFRS tutorials have them: one row each, string ids, shuffled once."""
    places = np.flatnonzero(data.interactions.duplicated("user_id"))  # all but the first of each user
    places = np.random.default_rng(0).permutation(places)
    starts = np.maximum(data.histories.offsets[data.user_indices[places]], places - HISTORY_LENGTH)
    histories = Histories(data.item_indices, np.arange(1)).between(starts, places).newest(HISTORY_LENGTH)
    return {
        "user_id": data.user_vocabulary.ids(data.user_indices[places]).astype(str),
        "history": data.item_vocabulary.ids(histories).astype(str),
        "item_id": data.item_vocabulary.ids(data.item_indices[places]).astype(str),
    }


def _tfllmrec(data: Dataset, feature: str, batch: int, dim: int, *, corrected: bool) -> Epoch:
    """An epoch as this package trains it."""
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
    batches_of: Callable[[tf.data.Dataset], tf.data.Dataset],
    *,
    metrics: bool,
) -> Epoch:
    """An epoch as the TFRS tutorials train it, with Keras 2."""
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
    batches = batches_of(ratings)

    def epoch() -> None:
        with legacy_keras():
            model.fit(batches, verbose=0)

    return epoch


def _lookup_tower(ids: np.ndarray, dim: int, *, pooled: bool) -> Any:
    """String ids to vectors, or rows of them to the mean vector; call it inside `legacy_keras`."""
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="demo", help='"made", the name of a data set, or a folder')
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch-size", nargs="+", type=int, default=[4096, 512])
    parser.add_argument("--features", nargs="+", choices=["ids", "history"], default=["ids", "history"])
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
