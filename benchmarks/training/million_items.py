"""Does a next-item model of a million items train, evaluate and export, and in how much memory?

    python -m benchmarks.training.million_items

Made data: a million items with long-tailed popularity, and as many users as it takes for every item to occur. The
family's own defaults: drawn negatives with the logQ correction, 64 dimensions. Prints one JSON line: the highest
resident memory of the process up to each step in GiB, and its seconds. Asked for: 10 GiB.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import progress, report
from tfllmrec import NextItem
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.data.splits import Targets
from tfllmrec.export import export
from tfllmrec.quiet import silent_stderr
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

    data = step("data", lambda: _made_data(arguments.items))
    split = leave_one_out(data)
    model = NextItem(epochs=1)
    step("fit", lambda: model.fit(split.train, verbose=0))
    step("evaluate", lambda: model.evaluate(_first(split.validation, EVALUATED_USERS)))
    with tempfile.TemporaryDirectory() as folder:
        version = step("export", lambda: export(model, f"{folder}/million"))
        history = data.item_vocabulary.tokens[1:4].tolist()
        asked = {"history": [history], "exclude_item_ids": [[""]]}
        with silent_stderr():
            served = step("serve", lambda: ServedModel(version)("next_items", **asked)["item_ids"])
    expected = model.recommend(histories=[history], k=100)["item_id"].tolist()
    if served[0].tolist() != expected:
        raise RuntimeError("the SavedModel and the recommender answer differently")
    result = {"benchmark": "million_items"} | data.summary() | {"steps": steps}
    report(result, "million_items" if arguments.record else None)


def _first(targets: Targets, count: int) -> Targets:
    return Targets(targets.users[:count], targets.histories.take(np.arange(count)), targets.items[:count])


def _made_data(items: int) -> Dataset:
    """Every item once, in random order, and as many long-tailed ones, cut into histories."""
    random = np.random.default_rng(0)
    popular = np.minimum(random.zipf(1.3, items) - 1, items - 1)
    drawn = random.permutation(np.concatenate([np.arange(items), popular]))
    users = np.arange(len(drawn)) // HISTORY
    names = np.array([f"i{item}" for item in range(items)], object)
    return Dataset.from_frames(
        pd.DataFrame(
            {"user_id": [f"u{user}" for user in users], "item_id": names[drawn], "timestamp": np.arange(len(drawn))}
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
