"""Recommenders that are fitted once per test run, by the first process that needs them, and loaded by all others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from small_data import small_data, small_scenarios

from tfllmrec import Recommender
from tfllmrec.models.registry import load_model, model_class

SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "ease": {"l2": 1.0},
    "two_tower": {"dim": 8, "hidden_units": 8, "user_vectors": True, "epochs": 1},
    "next_item": {"dim": 8, "units": 6, "pooling_heads": 2, "hidden_units": 4, "epochs": 1},
    "multi_task": {"dim": 8, "units": 6, "pooling_heads": 2, "expert_units": 4, "epochs": 1},
}
"""Options that fit a family in seconds; a new family may have none."""


def ranking_options(bert: Path) -> dict[str, dict[str, Any]]:
    """Return options that fit the families that read texts in seconds."""
    towers = {"dim": 8, "hidden_units": 8, "epochs": 1}
    lists = {"backbone": str(bert), "candidates": 10}
    ranker = {**lists, "hidden_units": 8, "epochs": 2, "finetune_epochs": 1, "towers": towers}
    pairs = {**lists, "list_size": 4, "text_length": 12, "title_length": 6, "history_tokens": 20, "epochs": 1}
    merged = {"retrievers": "markov_chain,ease", "candidates": 3, "ranked": 4, "parts": {"bert_ranker": ranker}}
    return {"bert_ranker": ranker, "cross_encoder": pairs, "cascade": merged}


def once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Return a folder that the first process to ask for it writes; the others wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            write(part)
            part.rename(folder)
    return folder


class SharedFits:
    """Fitted recommenders of `small_data` by family, and a multi-task model of `small_scenarios`.

    Args:
        folder: the folder that all processes of a test run share.
        options: options by family.
    """

    def __init__(self, folder: Path, options: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder, self._options = folder, options
        self._loaded: dict[Path, Recommender] = {}

    def make(self, family: str, **options: Any) -> Recommender:
        """Create a recommender that reads 4 items of a history and is quick to fit."""
        return model_class(family)(**{"history_length": 4, **self._options.get(family, {}), **options})

    def saved(self, family: str) -> Path:
        """Return the folder of a saved recommender; tests that change it copy it first."""
        return self._saved(family, lambda: self.make(family).fit(small_data(), verbose=0))

    def __call__(self, family: str) -> Recommender:
        """Return the recommender of a family."""
        return self._load(self.saved(family))

    def scenarios(self) -> Recommender:
        """Return a multi-task model with all tasks, two scenarios, and texts of users."""
        tasks = "next_item,retrieval,like,rating,interests"
        options = {"sharing": "ple", "backbone": self._options["bert_ranker"]["backbone"], "text_length": 8}
        model = self.make("multi_task", tasks=tasks, **options)
        return self._load(self._saved("scenarios", lambda: model.fit(small_scenarios(), verbose=0)))

    def _saved(self, name: str, fit: Callable[[], Recommender]) -> Path:
        return once(self._folder / name, lambda folder: fit().save(folder))

    def _load(self, folder: Path) -> Recommender:
        """Load a recommender, once per process."""
        if folder not in self._loaded:
            self._loaded[folder] = load_model(folder)
        return self._loaded[folder]
