"""How long does it take to add 1,000 new items to an export of 50,000, and are the old scores the same?

    python -m benchmarks.serving.refresh

Made data with titles and categories. `seconds` is of the command `tfllmrec refresh`, start of Python and import of
TensorFlow included; `imports` is of the import of TensorFlow alone. `seconds_in_python` is of loading the run and of
`tfllmrec.export.refresh` in a process that has it imported. Old scores are compared bit by bit, in the SavedModels, for
a hundred visitors. Prints one JSON line. Asked for: 15 s.
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

from benchmarks.common import progress, report
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
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _made_data().to_folder(folder / "data")
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
        "old_scores_equal": all(one == other for one, other in compared),
        "new_items_in_lists": sum(item.startswith("new") for row in new for item in row),
    }
    progress(f"{name}: {result}")
    return result


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _scores(version: Path) -> list[dict[str, float]]:
    """The items and scores that every visitor is answered."""
    random = np.random.default_rng(1)
    histories = [[f"i{item}" for item in random.integers(0, ITEMS, 5)] for _ in range(VISITORS)]
    with suppress_stderr():
        model = ServedModel(version)
        answer = model("retrieve", user_id=[""] * VISITORS, history=histories, exclude_item_ids=[[""]] * VISITORS)
        model.close()
    return [dict(zip(*row, strict=True)) for row in zip(answer["item_ids"], answer["scores"].tolist(), strict=True)]


def _made_data() -> Dataset:
    """Every item in two histories, all of 20 items."""
    random = np.random.default_rng(0)
    drawn = np.concatenate([random.permutation(ITEMS) for _ in range(2)])
    table = pd.DataFrame(
        {
            "user_id": [f"u{number // 20}" for number in range(len(drawn))],
            "item_id": [f"i{item}" for item in drawn],
            "timestamp": np.arange(len(drawn)),
        }
    )
    return Dataset.from_frames(table, _items(0, ITEMS))


def _items(first: int, count: int) -> pd.DataFrame:
    """Items with titles of four of 2,000 words and one of 20 categories."""
    random = np.random.default_rng(first)
    words = random.integers(0, 2000, (count, 4))
    letter = "new" if first else "i"
    return pd.DataFrame(
        {
            "item_id": [f"{letter}{number}" for number in range(first, first + count)],
            "title": [" ".join(f"word{word}" for word in row) for row in words],
            "categories": [f"category {number}" for number in random.integers(0, 20, count)],
        }
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--family", nargs="*", default=[*OPTIONS], help="word2vec, two_tower, next_item")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
