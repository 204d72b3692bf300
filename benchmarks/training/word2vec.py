"""How long does Word2Vec of texts and histories take, and in how much memory?

    python -m benchmarks.training.word2vec --data FOLDER [--workers 1 2] [--record]

Asked for, on amazon-multidomain (72,682 users, 42,381 items): both fitted in 2 minutes, 100,000 items transformed in 20
seconds. All with the defaults of `Word2VecContent`, for each number of worker threads in turn:

- `texts`: a fit on the items alone;
- `texts_and_histories`: a fit on items and interactions, what a plain `fit` does;
- `transform`: 100,000 rows, the item table as often as it takes, each with an id and a text of its own, so that nothing
  can be remembered from an earlier row.

Prints one JSON line: seconds by the clock and of the processor, and the highest resident memory of the process up to
the end of each step in GiB; `data` is what the process needs with the tables alone.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import progress, report
from tfllmrec.content.word2vec import Word2VecContent
from tfllmrec.data import Dataset, load

TRANSFORMED = 100_000


def main() -> None:
    arguments = _arguments()
    steps: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[..., Any], *given: Any, **options: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work(*given, **options)
        seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        steps[name] = {key: round(value, 2) for key, value in (seconds | {"peak_gib": peak}).items()}
        progress(f"{name}: {steps[name]}")
        return result

    data = step("data", load, arguments.data)
    many = _many_items(data)
    for workers in arguments.workers:
        step(f"texts, {workers} workers", Word2VecContent.fit, data.items, workers=workers)
        name = f"texts_and_histories, {workers} workers"
        content = step(name, Word2VecContent.fit, data.items, data.interactions, workers=workers)
    width = step("transform", content.transform, many).shape[1]
    shape = {"transformed": len(many), "width": width, "words": len(content.words.words)}
    result = {"benchmark": "word2vec", "data": Path(arguments.data).name} | data.summary() | shape | {"steps": steps}
    report(result, "word2vec" if arguments.record else None)


def _many_items(data: Dataset) -> pd.DataFrame:
    rounds = -(-TRANSFORMED // len(data.items))
    many = pd.concat([data.items] * rounds, ignore_index=True).head(TRANSFORMED)
    numbers = many.index.astype(str)
    return many.assign(item_id=many["item_id"] + "-" + numbers, title=many["title"] + " " + numbers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="demo", help="name of a data set, or its folder")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="threads; several are measured in turn")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
