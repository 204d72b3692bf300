"""Memory and time of a next-item model with a million items, from data to serving.

    python -m benchmarks.training.million_items

Synthetic data: a million items with long-tailed popularity, each of which occurs. The model has the defaults of the
family: sampled negatives with logQ correction, 64 dimensions.

Prints one JSON line: per step, its seconds and the peak resident memory of the process up to its end, in GiB. Target:
at most 10 GiB.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import benchmark_parser, progress, report
from tfllmrec import NextItem
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.data.splits import Targets
from tfllmrec.export import export
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel

HISTORY = 20
EVALUATED_USERS = 500


def main() -> None:
    arguments = _arguments()
    steps: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        steps[name] = {"seconds": round(time.perf_counter() - started, 1), "peak_gib": round(peak, 2)}
        progress(f"{name}: {steps[name]}")
        return result

    data = step("data", lambda: _synthetic_data(arguments.items))
    split = leave_one_out(data)
    model = NextItem(epochs=1)
    step("fit", lambda: model.fit(split.train, verbose=0))
    step("evaluate", lambda: model.evaluate(_first(split.validation, EVALUATED_USERS)))
    with tempfile.TemporaryDirectory() as folder:
        version = step("export", lambda: export(model, f"{folder}/million"))
        history = data.item_vocabulary.tokens[1:4].tolist()
        request = {"history": [history], "exclude_item_ids": [[""]]}
        with suppress_stderr():
            served = step("serve", lambda: ServedModel(version)("next_items", **request)["item_ids"])
    expected = model.recommend(histories=[history], k=100)["item_id"].tolist()
    if served[0].tolist() != expected:
        raise RuntimeError("the SavedModel and the recommender return different items")
    result = {"benchmark": "million_items"} | data.summary() | {"steps": steps}
    report(result, "million_items" if arguments.record else None)


def _first(targets: Targets, count: int) -> Targets:
    return Targets(targets.users[:count], targets.histories.take(np.arange(count)), targets.items[:count])


def _synthetic_data(items: int) -> Dataset:
    """Return every item once and as many long-tailed draws, shuffled and cut into histories."""
    random = np.random.default_rng(0)
    popular = np.minimum(random.zipf(1.3, items) - 1, items - 1)
    sequence = random.permutation(np.concatenate([np.arange(items), popular]))
    users = np.arange(len(sequence)) // HISTORY
    names = np.array([f"i{item}" for item in range(items)], object)
    return Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": [f"u{user}" for user in users],
                "item_id": names[sequence],
                "timestamp": np.arange(len(sequence)),
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
