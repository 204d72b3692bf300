"""Time of adding 1,000 new items to an export of 50,000, and a check that old scores stay identical.

    python -m benchmarks.serving.refresh

Synthetic data with titles and categories. Scores of old items are compared bit by bit in the SavedModels, for a hundred
visitors.

Prints one JSON line: `seconds` of the command `tfllmrec refresh`, including the start of Python and the import of
TensorFlow; `imports`, the import of TensorFlow alone; `seconds_in_python`, loading the run and
`tfllmrec.export.refresh` in a process that has TensorFlow imported; and the number of compared scores. Target: 15 s,
all scores equal. It takes three minutes.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import benchmark_parser, progress, report
from tfllmrec.data import Dataset
from tfllmrec.export import export, refresh
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving.session import ServedModel
from tfllmrec.training.runs import Run, Source, train

ITEMS, NEW, VISITORS = 50_000, 1_000, 100
OPTIONS: dict[str, dict[str, Any]] = {
    "word2vec": {"epochs": 1},
    "two_tower": {"epochs": 1, "dim": 64, "negatives": "in_batch"},
    "next_item": {"epochs": 1, "dim": 64, "units": 64, "negatives": "sampled", "batch_size": 512},
}


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _synthetic_data().to_folder(folder / "data")
        (folder / "new").mkdir()
        _items(ITEMS, NEW).to_parquet(folder / "new" / "items.parquet")
        imports = _seconds([sys.executable, "-c", "import tensorflow"])
        progress(f"import of TensorFlow: {imports:.1f} s")
        families = {name: _refresh(name, folder) for name in arguments.family}
    result = {"benchmark": "refresh", "items": ITEMS, "new_items": NEW, "imports": round(imports, 1)}
    report(result | {"families": families}, "refresh" if arguments.record else None)


def _refresh(name: str, folder: Path) -> dict[str, Any]:
    run, served = folder / f"run-{name}", folder / f"served-{name}"
    fitted = train(name, Source(str(folder / "data")), OPTIONS[name])
    fitted.save(run)
    export(fitted.recommender, served)
    command = [sys.executable, "-m", "tfllmrec", "refresh", str(run), str(served), "--items", str(folder / "new")]
    seconds = _seconds(command)
    started = time.perf_counter()
    refresh(Run.load(run).recommender, served, pd.read_parquet(folder / "new" / "items.parquet"))
    in_python = time.perf_counter() - started
    old, new = _scores(served / "1"), _scores(served / "2")
    pairs = zip(old, new, strict=True)
    compared = [(before[item], score) for before, after in pairs for item, score in after.items() if item in before]
    result = {
        "seconds": round(seconds, 1),
        "seconds_in_python": round(in_python, 1),
        "old_scores_compared": len(compared),
        "old_scores_equal": all(old_score == new_score for old_score, new_score in compared),
        "new_items_in_lists": sum(item.startswith("new") for row in new for item in row),
    }
    progress(f"{name}: {result}")
    return result


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _scores(version: Path) -> list[dict[str, float]]:
    """Return the items and scores of every visitor's results."""
    random = np.random.default_rng(1)
    histories = [[f"i{item}" for item in random.integers(0, ITEMS, 5)] for _ in range(VISITORS)]
    with suppress_stderr():
        model = ServedModel(version)
        outputs = model("retrieve", user_id=[""] * VISITORS, history=histories, exclude_item_ids=[[""]] * VISITORS)
        model.close()
    return [dict(zip(*row, strict=True)) for row in zip(outputs["item_ids"], outputs["scores"].tolist(), strict=True)]


def _synthetic_data() -> Dataset:
    """Return histories of 20 items, with every item in two of them."""
    random = np.random.default_rng(0)
    sequence = np.concatenate([random.permutation(ITEMS) for _ in range(2)])
    table = pd.DataFrame(
        {
            "user_id": [f"u{number // 20}" for number in range(len(sequence))],
            "item_id": [f"i{item}" for item in sequence],
            "timestamp": np.arange(len(sequence)),
        }
    )
    return Dataset.from_frames(table, _items(0, ITEMS))


def _items(first: int, count: int) -> pd.DataFrame:
    """Return items with titles of four words, from 2,000, and one of 20 categories."""
    random = np.random.default_rng(first)
    words = random.integers(0, 2000, (count, 4))
    prefix = "new" if first else "i"
    return pd.DataFrame(
        {
            "item_id": [f"{prefix}{number}" for number in range(first, first + count)],
            "title": [" ".join(f"word{word}" for word in row) for row in words],
            "categories": [f"category {number}" for number in random.integers(0, 20, count)],
        }
    )


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--family", nargs="*", default=[*OPTIONS], help="word2vec, two_tower, next_item")
    return parser.parse_args()


if __name__ == "__main__":
    main()
