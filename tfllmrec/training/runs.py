"""Runs: a recommender fitted from the command line, with a note of what it was fitted on."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from tfllmrec.data import Dataset, Split, Targets, leave_one_out, load_dataset
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext
from tfllmrec.models.ranker.candidates import Retrieve
from tfllmrec.models.registry import load_model as load_recommender
from tfllmrec.models.registry import model_class
from tfllmrec.training.progress import EpochSeconds


@dataclass(frozen=True)
class Source:
    """Where a run's data comes from, so that `evaluate` can ask the same questions again.

    Attributes:
        data: the name of a data set, or the absolute path of a folder.
        min_item_interactions: see `tfllmrec.data.load`.
        by_scenario: whether the last item of every scenario is asked for, and not that of every user.
    """

    data: str
    min_item_interactions: int | None = None
    by_scenario: bool = False

    @classmethod
    def of(
        cls, name_or_folder: str, min_item_interactions: int | None = None, *, by_scenario: bool = False
    ) -> "Source":
        """The source of what a user typed; a folder's path is made absolute."""
        folder = Path(name_or_folder)
        return cls(str(folder.absolute()) if folder.is_dir() else name_or_folder, min_item_interactions, by_scenario)

    def dataset(self) -> Dataset:
        """The data set.

        Raises:
            InputError: the data cannot be had.
        """
        return load_dataset(self.data, min_item_interactions=self.min_item_interactions)

    def split(self) -> tuple[Dataset, Split]:
        """The data set and its leave-one-out split.

        Raises:
            InputError: the data cannot be had, or is too small to split.
        """
        data = self.dataset()
        return data, leave_one_out_by_scenario(data) if self.by_scenario else leave_one_out(data)


@dataclass(frozen=True)
class Run:
    """A fitted recommender and what is known of how it came about.

    Attributes:
        recommender: the fitted recommender.
        source: what it was fitted on.
        refitted: whether the validation items were trained on as well.
        seconds: how long fitting took, all parts of one that was broken off together.
        training_log: what Keras `fit` logged, epoch by epoch; empty for families without epochs.
    """

    recommender: Recommender
    source: Source
    refitted: bool = False
    seconds: float = 0.0
    training_log: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write the run to a new folder, in one step.

        Raises:
            InputError: the folder exists, or cannot be made.
        """
        told = {"source": asdict(self.source), "refitted": self.refitted, "seconds": round(self.seconds, 1)}
        with atomic_folder(Path(folder)) as hidden:
            self.recommender.save(hidden)
            text = json.dumps(told | {"training_log": self.training_log}, indent=2, ensure_ascii=False)
            (hidden / "run.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Read what `save` wrote.

        Raises:
            InputError: the folder is no run.
        """
        path = Path(folder) / "run.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            source = Source(**told["source"])
            refitted, seconds, training_log = (told[name] for name in ("refitted", "seconds", "training_log"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder} is no run: run.json is missing or damaged") from error
        recommender = load_recommender(folder)
        recommender.training_log = training_log
        return cls(recommender, source, refitted, seconds, training_log)

    def facts(self) -> dict[str, str]:
        """What a model card tells of the training."""
        best = max(self.training_log.get("val_ndcg@10", ()), default=None)
        return {
            "training data": Path(self.source.data).name,
            "trained on the validation items": "yes" if self.refitted else "no",
            **({} if best is None else {"validation ndcg@10": f"{best:.4f}"}),
            "seconds of training": f"{self.seconds:.0f}",
        }

    def evaluate(self) -> dict[str, float]:
        """Metrics of the test targets.

        Raises:
            InputError: see `test`.
        """
        return self.recommender.evaluate(self.test()[1])

    def test(self) -> tuple[Dataset, Targets]:
        """The data, and its test targets.

        Raises:
            InputError: the validation items were trained on, or the data has changed since.
        """
        if self.refitted:
            raise InputError(
                "this run was refitted on the validation items, which no report may use; train without --refit"
            )
        data, split = self.source.split()
        if data.item_vocabulary != self.recommender.fitted_data.items:
            raise InputError(f"the items of {self.source.data} are not those the run was fitted on; train again")
        return data, split.test


def train(
    name: str,
    source: Source,
    options: Mapping[str, Any],
    *,
    refit: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    backup: Path | None = None,
) -> Run:
    """Fit a family on a data set's training part, choosing by its validation targets.

    Args:
        name: the family.
        source: the data.
        options: of the family's configuration.
        refit: fit once more on training and validation part, for as long as was best on the validation targets:
            for a model that is to be served.
        callbacks: for Keras `fit`.
        backup: a folder for the state after every epoch: after a kill the same call goes on from there. It is
            yours to remove.

    Raises:
        InputError: there is no such family, option or data, or a backup is of another fit.
    """
    chosen = model_class(name)
    recommender = chosen.from_options(options)
    _, split = source.split()
    first, second = (backup and backup / name for name in ("fit.npz", "refit.npz"))
    seconds = timed_fit(recommender, split.train, split.validation, callbacks=callbacks, backup=first)
    training_log = recommender.training_log
    if refit:
        recommender = chosen.with_config(recommender.refit_config())
        seconds += timed_fit(recommender, split.before_test, callbacks=callbacks, backup=second)
    return Run(recommender, source, refit, seconds, training_log)


def timed_fit(
    recommender: Recommender,
    train: Dataset,
    validation: Targets | None = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    backup: Path | None = None,
    retrieve: Retrieve | None = None,
) -> float:
    """Fit on the parts, in silence, and say how many seconds its epochs took: all of them, where a backup has some.

    A family without epochs is timed as a whole; the epochs of a family's parts count.
    """
    started, epochs = time.perf_counter(), EpochSeconds()
    context = FitContext([epochs, *callbacks], 0, backup, retrieve)
    recommender.fit_in_context(train, validation, context)
    told = recommender.training_log.get("seconds")
    return time.perf_counter() - started if told is None else max(epochs.total, sum(told))


def tensorboard_logs(folder: Path | None) -> list[keras.callbacks.Callback]:
    """The callback that logs to TensorBoard, where a folder is given."""
    return [] if folder is None else [keras.callbacks.TensorBoard(str(folder))]
