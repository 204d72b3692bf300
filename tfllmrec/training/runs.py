"""Runs: fitted recommenders on disk, with the data set that they were fitted on."""

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
from tfllmrec.formats import require_format
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import FitContext
from tfllmrec.models.ranker.candidates import Retrieve
from tfllmrec.models.registry import load_model, model_class
from tfllmrec.training.progress import EpochSeconds

_FORMAT = 2
"""Format of run.json. Format 1 had no number, and options with other names."""
_RUN_FILE = "run.json"


@dataclass(frozen=True)
class Source:
    """Source of a run's data, from which `evaluate` makes the same split again.

    Attributes:
        data: name of a data set, or absolute path of a folder.
        min_item_interactions: see `tfllmrec.data.load_dataset`.
        by_scenario: whether the targets are the last item of each user and scenario, instead of each user.
        separator: see `tfllmrec.data.load_dataset`.
        encoding: see `tfllmrec.data.load_dataset`.
        date_format: see `tfllmrec.data.load_dataset`.
    """

    data: str
    min_item_interactions: int | None = None
    by_scenario: bool = False
    separator: str | None = None
    encoding: str | None = None
    date_format: str | None = None

    @classmethod
    def of(
        cls,
        name_or_folder: str,
        min_item_interactions: int | None = None,
        *,
        by_scenario: bool = False,
        separator: str | None = None,
        encoding: str | None = None,
        date_format: str | None = None,
    ) -> "Source":
        """Make a source from the name of a data set or the path of a folder; the path becomes absolute."""
        folder = Path(name_or_folder)
        data = str(folder.absolute()) if folder.is_dir() else name_or_folder
        return cls(data, min_item_interactions, by_scenario, separator, encoding, date_format)

    def dataset(self) -> Dataset:
        """Load the data set.

        Raises:
            InputError: If the data cannot be loaded.
        """
        return load_dataset(
            self.data,
            min_item_interactions=self.min_item_interactions,
            separator=self.separator,
            encoding=self.encoding,
            date_format=self.date_format,
        )

    def split(self) -> tuple[Dataset, Split]:
        """Load the data set and split it by leave-one-out.

        Raises:
            InputError: If the data cannot be loaded or is too small to split.
        """
        data = self.dataset()
        return data, leave_one_out_by_scenario(data) if self.by_scenario else leave_one_out(data)


@dataclass(frozen=True)
class Run:
    """Fitted recommender with its source and training log.

    Attributes:
        recommender: fitted recommender.
        source: data that it was fitted on.
        refitted: whether it was also fitted on the validation items.
        seconds: training time, including the epochs before an interruption.
        training_log: logs of Keras `fit` by epoch; empty for families without epochs.
    """

    recommender: Recommender
    source: Source
    refitted: bool = False
    seconds: float = 0.0
    training_log: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write the run to a new folder, atomically.

        Raises:
            InputError: If the folder exists or cannot be created.
        """
        description = {
            "format": _FORMAT,
            "source": asdict(self.source),
            "refitted": self.refitted,
            "seconds": round(self.seconds, 1),
            "training_log": self.training_log,
        }
        with atomic_folder(Path(folder)) as hidden:
            self.recommender.save(hidden)
            text = json.dumps(description, indent=2, ensure_ascii=False)
            (hidden / _RUN_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Read a run that `save` wrote.

        Raises:
            InputError: If the folder is not a run, or a run of another format.
        """
        description = _read_description(Path(folder))
        try:
            source = Source(**description["source"])
            refitted, seconds, training_log = (description[name] for name in ("refitted", "seconds", "training_log"))
        except (KeyError, TypeError) as error:
            raise _damaged(folder) from error
        recommender = load_model(folder)
        recommender.training_log = training_log
        return cls(recommender, source, refitted, seconds, training_log)

    def facts(self) -> dict[str, str]:
        """Return the facts about the training for a model card."""
        best = max(self.training_log.get("val_ndcg@10", ()), default=None)
        return {
            "training data": Path(self.source.data).name,
            "trained on the validation items": "yes" if self.refitted else "no",
            **({} if best is None else {"validation ndcg@10": f"{best:.4f}"}),
            "seconds of training": f"{self.seconds:.0f}",
        }

    def evaluate(self) -> dict[str, float]:
        """Return the metrics on the test targets.

        Raises:
            InputError: See `test`.
        """
        return self.recommender.evaluate(self.test()[1])

    def test(self) -> tuple[Dataset, Targets]:
        """Load the data set and its test targets.

        Raises:
            InputError: If the run was fitted on the validation items, or the items or users of the data set have
                changed.
        """
        if self.refitted:
            raise InputError(
                "this run was refitted on the validation items and has no valid test metrics; train without --refit"
            )
        data, split = self.source.split()
        if not self.recommender.fitted_data.has_ids_of(data):
            raise InputError(
                f"the items or users of {self.source.data} differ from those the run was fitted on; train again"
            )
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
    """Fit a family on the training part of a data set, and select the best epoch on the validation targets.

    Args:
        name: family name.
        source: data source.
        options: options of the family.
        refit: fit once more on training and validation part, for the best number of epochs. Use it for a model that is
            to be served.
        callbacks: Keras callbacks.
        backup: folder for the state after each epoch. The same call resumes an interrupted fit from there. The caller
            removes the folder.

    Raises:
        InputError: If the family, an option or the data does not exist, or a backup belongs to another fit.
    """
    family = model_class(name)
    recommender = family.from_options(options)
    _, split = source.split()
    fit_backup, refit_backup = (backup and backup / file for file in ("fit.npz", "refit.npz"))
    seconds = timed_fit(recommender, split.train, split.validation, callbacks=callbacks, backup=fit_backup)
    training_log = recommender.training_log
    if refit:
        recommender = family.with_config(recommender.refit_config())
        seconds += timed_fit(recommender, split.before_test, callbacks=callbacks, backup=refit_backup)
    return Run(recommender, source, refit, seconds, training_log)


def timed_fit(
    recommender: Recommender,
    train: Dataset,
    validation: Targets | None = None,
    *,
    retrieve: Retrieve | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    backup: Path | None = None,
) -> float:
    """Fit without output and return the training time in seconds.

    The time is the sum over epochs, including the epochs of a family's parts and those in a backup. A family without
    epochs is timed as a whole.

    Args:
        recommender: recommender to fit.
        train: training data.
        validation: validation targets.
        retrieve: candidate retriever of a ranker; see `FitContext`.
        callbacks: Keras callbacks.
        backup: see `Recommender.fit`.
    """
    started, epochs = time.perf_counter(), EpochSeconds()
    context = FitContext([epochs, *callbacks], 0, backup, retrieve)
    recommender.fit_in_context(train, validation, context)
    logged = recommender.training_log.get("seconds")
    return time.perf_counter() - started if logged is None else max(epochs.total, sum(logged))


def tensorboard_logs(folder: Path | None) -> list[keras.callbacks.Callback]:
    """Return the callback that logs to TensorBoard, none without a folder."""
    return [] if folder is None else [keras.callbacks.TensorBoard(str(folder))]


def _read_description(folder: Path) -> Mapping[str, Any]:
    try:
        description = json.loads((folder / _RUN_FILE).read_text(encoding="utf-8"))
        number = description.get("format", 1)
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(folder) from error
    require_format(folder, number, _FORMAT, "train again")
    return description


def _damaged(folder: str | Path) -> InputError:
    return InputError(f"{folder} is not a run: {_RUN_FILE} is missing or damaged")
