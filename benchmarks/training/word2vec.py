"""Time and memory of Word2Vec on item texts and histories.

    python -m benchmarks.training.word2vec --data FOLDER [--workers 1 2] [--record]

Steps, with the defaults of `Word2VecContent`, for each number of worker threads:

- `texts`: a fit on the items alone;
- `texts_and_histories`: a fit on items and interactions, as in a plain `fit` of the family;
- `transform`: 100,000 rows: the item table repeated, each row with its own id and text, so that no row can be cached.

Prints one JSON line: per step, wall-clock and CPU seconds and the peak resident memory of the process up to its end, in
GiB; `data` is the memory of the process with the tables alone. Target on amazon-multidomain (72,682 users, 42,381
items): both fits in 2 minutes, the transformation in 20 seconds.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import benchmark_parser, progress, report
from tfllmrec.content.word2vec import Word2VecContent
from tfllmrec.data import Dataset, load_dataset

TRANSFORMED = 100_000


def main() -> None:
    arguments = _arguments()
    steps: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work(*arguments, **options)
        seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        steps[name] = {key: round(value, 2) for key, value in (seconds | {"peak_gib": peak}).items()}
        progress(f"{name}: {steps[name]}")
        return result

    data = step("data", load_dataset, arguments.data)
    items = _repeated_items(data)
    for workers in arguments.workers:
        step(f"texts, {workers} workers", Word2VecContent.fit, data.items, workers=workers)
        name = f"texts_and_histories, {workers} workers"
        content = step(name, Word2VecContent.fit, data.items, data.interactions, workers=workers)
    width = step("transform", content.transform, items).shape[1]
    shape = {"transformed": len(items), "width": width, "words": len(content.word_vectors.vocabulary)}
    result = {"benchmark": "word2vec", "data": Path(arguments.data).name} | data.summary() | shape | {"steps": steps}
    report(result, "word2vec" if arguments.record else None)


def _repeated_items(data: Dataset) -> pd.DataFrame:
    """Return the item table, repeated to `TRANSFORMED` rows with unique ids and titles."""
    rounds = -(-TRANSFORMED // len(data.items))
    items = pd.concat([data.items] * rounds, ignore_index=True).head(TRANSFORMED)
    numbers = items.index.astype(str)
    return items.assign(item_id=items["item_id"] + "-" + numbers, title=items["title"] + " " + numbers)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="demo", help="name of a data set, or its folder")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="numbers of worker threads")
    return parser.parse_args()


if __name__ == "__main__":
    main()
