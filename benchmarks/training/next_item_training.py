"""Training speed of next-item models, compared with plain Keras layers of the same size.

    python -m benchmarks.training.next_item_training --data FOLDER

All sides have the same rows, batch size, widths, optimizer (Adam) and learning rate; widths and rows are those that the
family chooses for the data set. A token is a position with a next item.

- "keras": `Embedding(mask_zero=True)`, `LSTM`, `Dense(items, softmax)`, sparse cross-entropy, plain `fit`.
- "tfllmrec": the same number of units, item vectors tied with the output; no content, no dropout, seen items not
  hidden. Only positions with a next item reach the softmax, which is computed block by block together with its
  gradient.
- "bfloat16": the same with `precision="bfloat16"` in the softmax and the recurrent layer; weights are float32.

Prints one JSON line: tokens per second, ratios to plain Keras by wall-clock time (`ratio`) and by CPU time
(`cpu_ratio`), and validation ndcg@10 after every epoch. Seconds are medians of epochs; the sides take turns, and a
first epoch of each does not count. Target: a ratio of 1.5 with the same validation curve.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from benchmarks.common import benchmark_parser, load_or_generate, progress, report, time_all
from tfllmrec.data import Split, leave_one_out
from tfllmrec.data.batches import window_batches
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.evaluation.ranking import Scorer, rank_targets
from tfllmrec.layers.encoders.recurrent import Precision, history_encoder, query_head
from tfllmrec.layers.history import LastState
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.models.next_item.config import NextItemConfig
from tfllmrec.models.next_item.network import candidate_model, query_model
from tfllmrec.tasks.next_item import NextItemModel, NextItemTask

LEARNING_RATE = 1e-3


class Side(NamedTuple):
    """One side of the comparison.

    Attributes:
        epoch: trains the model for one epoch.
        score: scores all items with the current weights.
    """

    epoch: Callable[[], Any]
    score: Scorer


def main() -> None:
    arguments = _arguments()
    split = leave_one_out(load_or_generate(arguments.data))
    config = NextItemConfig.for_data(split.train, {})
    sides = {
        "keras": _keras(split, config),
        "tfllmrec": _tfllmrec(split, config, "float32"),
        "bfloat16": _tfllmrec(split, config, "bfloat16"),
    }
    curves: dict[str, list[float]] = {name: [] for name in sides}

    def validate(name: str) -> None:
        ranks = rank_targets(sides[name].score, split.validation, config.history_length, k=1).ranks
        curves[name].append(round(float(ndcg(ranks, 10).mean()), 4))
        progress(f"{name}: validation ndcg@10 {curves[name][-1]:.4f}")

    seconds = time_all({name: side.epoch for name, side in sides.items()}, arguments.repeats, after=validate)
    tokens = sum(int(tf.math.count_nonzero(targets)) for _, targets in _batches(split, config))
    data = Path(arguments.data).name
    result = {
        "benchmark": "next_item_training",
        "data": data,
        "units": config.units,
        "window": config.history_length,
        "batch_size": config.batch_size,
        "items": len(split.train.item_vocabulary),
        "tokens_per_second": {name: round(tokens / each.wall) for name, each in seconds.items()},
        "ratio": {name: round(seconds["keras"].wall / each.wall, 2) for name, each in seconds.items()},
        "cpu_ratio": {name: round(seconds["keras"].cpu / each.cpu, 2) for name, each in seconds.items()},
        "validation": curves,
    }
    report(result, f"next_item_training-{data}" if arguments.record else None)


def _batches(split: Split, config: NextItemConfig) -> tf.data.Dataset:
    return window_batches(split.train, config.history_length, config.batch_size)


def _keras(split: Split, config: NextItemConfig) -> Side:
    """Return plain Keras layers with a softmax over all items."""
    count = len(split.train.item_vocabulary) + 1
    history = keras.Input((config.history_length,), dtype="int32")
    vectors = keras.layers.Embedding(count, config.units, mask_zero=True)(history)
    states = keras.layers.LSTM(config.units, return_sequences=True)(vectors)
    output = keras.layers.Dense(count, activation="softmax")
    model = keras.Model(history, output(states))
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=False)
    last_position = keras.Model(history, output(LastState()(states, history)))
    batches = _batches(split, config).map(lambda features, targets: (features["history"], targets))
    score = tf.function(lambda _, histories: last_position(histories))
    return Side(lambda: model.fit(batches, shuffle=False, verbose=0), score)


def _tfllmrec(split: Split, config: NextItemConfig, precision: Precision) -> Side:
    """Return a model of the same size as this package trains it."""
    count, width = len(split.train.item_vocabulary), config.units
    items = ItemEmbedding(count, width)
    encoder = history_encoder(
        dim=width,
        history_length=config.history_length,
        units=width,
        input_dropout=0.0,
        dropout=0.0,
        precision=precision,
    )
    queries = query_model(items, encoder, query_head(width, width))
    candidates = candidate_model(items, ItemBias(count))
    counts = split.train.item_counts
    model = NextItemModel(queries, candidates, NextItemTask(precision=precision), item_counts=counts, hide_seen=False)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), jit_compile=False)
    batches = _batches(split, config)

    @tf.function
    def score(_: tf.Tensor, histories: tf.Tensor) -> tf.Tensor:
        outputs = candidates(tf.range(count + 1))
        return tf.matmul(queries({"history": histories}), outputs["candidate"], transpose_b=True) + outputs["bias"]

    return Side(lambda: model.fit(batches, shuffle=False, verbose=0), score)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="demo", help="synthetic, the name of a data set, or its folder")
    parser.add_argument("--repeats", type=int, default=3, help="number of turns; medians are reported")
    return parser.parse_args()


if __name__ == "__main__":
    main()
