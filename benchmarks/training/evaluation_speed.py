"""Speed of full ranking, compared with `tfrs.metrics.FactorizedTopK` on the same towers and targets.

    python -m benchmarks.training.evaluation_speed

Both sides get the same Keras 3 towers (untrained, because speed does not depend on the weights) and one target per
user, on synthetic data of MovieLens-1M's size or on `--data`.

- tfllmrec: item vectors from the candidate tower, `rank_targets` (seen items excluded, exact ranks, top-10 lists) and
  `summarise` (ndcg, recall, mrr, precision, f1, coverage, novelty).
- FactorizedTopK as in the TFRS tutorials: `FactorizedTopK(items.batch(128).map(candidate_tower))`, updated in a
  `tf.function` with cached batches of queries. It computes hit rates at 1 to 100 and excludes nothing. The loss that
  `model.evaluate` computes in addition is left out, in its favor.

FactorizedTopK maps the candidates through their tower again for every batch of queries, so its speed depends on the
batch size: 512 is a usual batch size of training; the tutorials on retrieval evaluate with 4,096. The towers
"embedding" are two embeddings, as in the quick start. The towers "two_tower" are those of the family (history pooling,
user vector); both sides pay for its query tower, so their ratio is lower.

Before the measurement, both sides count hits without exclusions and must agree. FactorizedTopK does so by ids: by
scores, its default, it compares a target's score with the same score rounded differently.

Prints one JSON line: seconds and ratios for all towers and batch sizes (`runs`); `ratio` is that of the first towers at
the first batch size. Seconds are medians of turns by wall-clock time; `cpu_ratio` compares the CPU time of all threads,
which depends little on other work on the machine. Target: a ratio of 20. It takes two minutes on two idle cores.
"""

import argparse
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common import SYNTHETIC, Seconds, benchmark_parser, load_or_generate, progress, report, time_all
from tfllmrec.data import Dataset, Histories, Targets, leave_one_out
from tfllmrec.evaluation import rank_targets, summarise
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.models.two_tower.network import candidate_tower, query_encoder, query_tower
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras

Towers = tuple[keras.Model, keras.Model]

HISTORY_LENGTH = 50
KS = (1, 5, 10, 50, 100)  # the defaults of FactorizedTopK


def main() -> None:
    arguments = _arguments()
    split = leave_one_out(load_or_generate(arguments.data))
    targets, counts = split.test, split.train.item_counts
    runs, hits = [], {}
    for name in arguments.towers:
        towers = TOWERS[name](split.train, arguments.dim)
        hits[name] = _equal_hits(towers, targets, len(counts) - 1)
        progress(f"{name}: hits at {KS} of both sides: {hits[name]}")
        tasks: dict[str, Callable[[], Any]] = {"full ranking": _full_ranking(towers, targets, counts)}
        for batch in arguments.query_batch:
            tasks[f"FactorizedTopK {batch}"] = _factorized_top_k(towers, targets, len(counts) - 1, batch)
        ours, *theirs = time_all(tasks, arguments.repeats).values()
        runs += [_run(name, batch, ours, each) for batch, each in zip(arguments.query_batch, theirs, strict=True)]
    size = {"targets": len(targets), "items": len(counts) - 1, "dim": arguments.dim}
    result = {"benchmark": "evaluation_speed", "data": arguments.data} | size
    result |= {"ratio": runs[0]["ratio"], "cpu_ratio": runs[0]["cpu_ratio"], "unfiltered_hits": hits, "runs": runs}
    report(result, "evaluation_speed" if arguments.record else None)


def _run(towers: str, query_batch: int, ours: Seconds, theirs: Seconds) -> dict[str, Any]:
    return {
        "towers": towers,
        "query_batch": query_batch,
        "seconds": round(ours.wall, 3),
        "factorized_top_k_seconds": round(theirs.wall, 3),
        "ratio": round(theirs.wall / ours.wall, 1),
        "cpu_ratio": round(theirs.cpu / ours.cpu, 1),
    }


def _embeddings(data: Dataset, dim: int) -> Towers:
    """Return the towers of the quick start: an embedding of users and one of items."""
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((HISTORY_LENGTH,), dtype="int32", name="history")
    item = keras.Input((), dtype="int32", name="item")
    query = keras.layers.Embedding(len(data.user_vocabulary) + 1, dim)(user)
    candidate = keras.layers.Embedding(len(data.item_vocabulary) + 1, dim)(item)
    return keras.Model({"user": user, "history": history}, query), keras.Model(item, candidate)


def _family(data: Dataset, dim: int) -> Towers:
    """Return the towers of `two_tower`, without content."""
    items = ItemEmbedding(len(data.item_vocabulary), dim)
    encoder = query_encoder(dim=dim, history_length=HISTORY_LENGTH, user_count=len(data.user_vocabulary))
    return query_tower(encoder, items), candidate_tower(items)


TOWERS = {"embedding": _embeddings, "two_tower": _family}


def _full_ranking(towers: Towers, targets: Targets, counts: np.ndarray) -> Callable[[], dict[str, float]]:
    """Return a function that evaluates with tfllmrec, from the weights of the towers to the metrics."""
    query, candidate = towers
    vectors = tf.Variable(candidate(np.arange(len(counts), dtype=np.int32)))

    @tf.function
    def score(users: tf.Tensor, histories: tf.Tensor) -> tf.Tensor:
        return tf.matmul(query({"user": users, "history": histories}), vectors, transpose_b=True)

    def evaluate() -> dict[str, float]:
        vectors.assign(candidate(np.arange(len(counts), dtype=np.int32)))
        return summarise(rank_targets(score, targets, HISTORY_LENGTH), counts)

    return evaluate


def _factorized_top_k(
    towers: Towers, targets: Targets, item_count: int, query_batch: int, *, by_id: bool = False
) -> Callable[[], list[float]]:
    """Return a function that evaluates as the TFRS tutorials do: hit rates at `KS`."""
    query, candidate = towers
    tfrs = import_tfrs()
    rows = tf.data.Dataset.from_tensor_slices({"item": np.arange(1, item_count + 1, dtype=np.int32)})
    items = rows.map(lambda row: row["item"]).batch(128)
    features = {"user": targets.users, "history": targets.histories.most_recent(HISTORY_LENGTH)}
    queries = tf.data.Dataset.from_tensor_slices((features, targets.items)).batch(query_batch).cache()
    with legacy_keras():
        metric = tfrs.metrics.FactorizedTopK(items.map(lambda ids: (ids, candidate(ids)) if by_id else candidate(ids)))

    @tf.function
    def update(features: dict[str, tf.Tensor], item: tf.Tensor) -> None:
        metric.update_state(query(features), candidate(item), true_candidate_ids=item if by_id else None)

    def evaluate() -> list[float]:
        metric.reset_states()
        for features, item in queries:
            update(features, item)
        return [float(rate) for rate in metric.result()]

    return evaluate


def _equal_hits(towers: Towers, targets: Targets, item_count: int) -> list[int]:
    """Return the hits at `KS` without exclusions, and check that both sides count the same."""
    query, candidate = towers
    vectors = candidate(np.arange(item_count + 1, dtype=np.int32))
    histories = targets.histories.most_recent(HISTORY_LENGTH)

    def score(rows: np.ndarray, _: np.ndarray) -> tf.Tensor:
        return tf.matmul(query({"user": targets.users[rows], "history": histories[rows]}), vectors, transpose_b=True)

    # `users` holds row numbers, and the histories of the targets are empty, so that no item is excluded.
    empty = Histories.from_rows([()] * len(targets))
    unfiltered = Targets(np.arange(len(targets), dtype=np.int32), empty, targets.items)
    ranks = rank_targets(score, unfiltered, HISTORY_LENGTH).ranks
    ours = [int(np.sum(ranks <= k)) for k in KS]
    rates = _factorized_top_k(towers, targets, item_count, 512, by_id=True)()
    theirs = [round(rate * len(targets)) for rate in rates]
    if ours != theirs:
        raise SystemExit(f"hits at {KS} differ: {ours} of full ranking, {theirs} of FactorizedTopK")
    return ours


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default=SYNTHETIC, help="synthetic, the name of a data set, or its folder")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--towers", nargs="+", choices=list(TOWERS), default=list(TOWERS))
    parser.add_argument(
        "--query-batch", nargs="+", type=int, default=[512, 128, 4096], help="batch sizes of FactorizedTopK"
    )
    parser.add_argument("--repeats", type=int, default=3, help="number of turns; medians are reported")
    return parser.parse_args()


if __name__ == "__main__":
    main()
