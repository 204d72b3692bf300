"""A fit that resumes from a backup has the results of an uninterrupted one, wherever it was interrupted."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Checkerboard, Dataset, Split
from tfllmrec.errors import InputError
from tfllmrec.models.base import backup as backup_module
from tfllmrec.models.base.backup import Backup
from tfllmrec.models.registry import model_class

SMALL = {"dim": 8, "history_length": 4, "epochs": 3, "ema": 0.3, "batch_size": 64}
STOPPING = {"epochs": 15, "patience": 3, "learning_rate": 0.1}
NEXT_ITEM = {"units": 8, "input_dropout": 0.3, "dropout": 0.3, "batch_size": 16}
TWO_TOWER = {"hidden_units": 8, "pooling_heads": 1, "recent_items": 1, "user_vectors": False, "content": False}


class InterruptionError(Exception):
    """Interrupt a fit, as a power failure would."""


class Caller(keras.callbacks.Callback):
    """Record what a caller's callback receives, and interrupt the fit at a step of an epoch if one is given."""

    def __init__(self, epoch: int = -1, step: int | str = "") -> None:
        super().__init__()
        self.interrupted_at, self.epoch = (epoch, step), -1
        self.begun: list[int] = []
        self.logs: dict[int, dict[str, float]] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self.begun.append(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._at(batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs[epoch] = dict(logs)
        self._at("end")

    def on_train_end(self, logs: Any = None) -> None:
        self._at("after the last")

    def _at(self, step: int | str) -> None:
        if (self.epoch, step) == self.interrupted_at:
            raise InterruptionError


@dataclass
class Case:
    """A fit, and the epoch and step at which it is interrupted; with validation, epochs count from the best one."""

    family: str
    options: dict[str, Any]
    validated: bool
    interrupted_at: tuple[int, int | str]


CASES = {
    "next_item, full softmax, early stopping after the interruption": Case(
        "next_item", {**SMALL, **NEXT_ITEM, **STOPPING}, True, (2, "end")
    ),
    "next_item, sampled softmax, interrupted within an epoch": Case(
        "next_item", {**SMALL, **NEXT_ITEM, "content": False, "negatives": "sampled", "num_negatives": 5}, False, (1, 1)
    ),
    "two_tower, full softmax, learning rate schedule": Case(
        "two_tower", {**SMALL, **TWO_TOWER, "schedule": "cosine", "warmup": 1}, False, (1, "end")
    ),
    "two_tower, mixed negatives, early stopping before the interruption": Case(
        "two_tower",
        {**SMALL, **TWO_TOWER, **STOPPING, "negatives": "mixed", "num_negatives": 5},
        True,
        (3, "after the last"),
    ),
}
FIRST = next(iter(CASES))
SLOW = [
    "next_item, sampled softmax, interrupted within an epoch",
    "two_tower, full softmax, learning rate schedule",
]


@dataclass
class Resumed:
    """The results of a case: an uninterrupted fit, and a fit that was interrupted and resumed."""

    case: Case
    epoch: int
    uninterrupted: Recommender
    resumed: Recommender
    callers: list[Caller]
    backup: Path


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def results(request: pytest.FixtureRequest, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    case, backup = CASES[request.param], tmp_path_factory.mktemp("case") / "new" / "fit"

    def fit(*callers: Caller, **options: Any) -> Recommender:
        validation = split.validation if case.validated else None
        recommender = model_class(case.family)(**case.options)
        return recommender.fit(split.train, validation, callbacks=callers, verbose=0, **options)

    uninterrupted, (epoch, step) = fit(), case.interrupted_at
    if case.validated:
        epoch += int(np.argmax(uninterrupted.training_log["val_ndcg@10"]))
    callers = [Caller(epoch, step), Caller()]
    with pytest.raises(InterruptionError):
        fit(callers[0], backup=backup)
    return Resumed(case, epoch, uninterrupted, fit(callers[1], backup=str(backup)), callers, backup)


def test_resumed_and_uninterrupted_fits_agree(results: Resumed) -> None:
    assert results.resumed.training_log.keys() == results.uninterrupted.training_log.keys()
    for name, values in results.uninterrupted.training_log.items():
        np.testing.assert_allclose(results.resumed.training_log[name], values, rtol=1e-5, err_msg=name)
    for expected, weight in zip(results.uninterrupted.model.variables, results.resumed.model.variables, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6, err_msg=expected.path)
    np.testing.assert_allclose(results.resumed.index.vectors, results.uninterrupted.index.vectors, rtol=1e-4, atol=1e-6)
    assert results.resumed.config == results.uninterrupted.config


@pytest.mark.parametrize("results", [name for name in CASES if CASES[name].validated], indirect=True)
def test_early_stopping_is_resumed(results: Resumed) -> None:
    epochs = len(results.uninterrupted.training_log["val_ndcg@10"])
    assert results.epoch < epochs < results.case.options["epochs"]
    assert results.resumed.refit_config() == results.uninterrupted.refit_config()


def test_callbacks_receive_the_epochs_and_logs_of_one_fit(results: Resumed) -> None:
    epochs = len(results.uninterrupted.training_log["loss"])
    assert [caller.begun for caller in results.callers] == [
        [*range(results.epoch + 1)],
        [*range(results.epoch, epochs)],
    ]
    assert {epoch for caller in results.callers for epoch in caller.logs} == {*range(epochs)}
    for caller in results.callers:
        for epoch, logs in caller.logs.items():
            assert logs == pytest.approx(
                {name: values[epoch] for name, values in results.uninterrupted.training_log.items()}
            )


def test_only_the_backup_is_written(results: Resumed) -> None:
    assert list(results.backup.parent.iterdir()) == [results.backup]


@pytest.mark.parametrize("results", [FIRST], indirect=True)
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"dim": 4, "units": 9}, "dim, units"),
        ({"epochs": 16}, "epochs"),
        ({"seed": 1}, "seed"),
        ({"family": "two_tower"}, "family"),
        ({"train": True}, "training data"),
        ({"content": True}, "training data"),
        ({"validation": "other"}, "validation targets"),
        ({"validation": "none"}, "validation targets"),
    ],
    ids=str,
)
def test_a_backup_of_another_fit_is_refused(
    results: Resumed, split: Split, changed: dict[str, Any], named: str
) -> None:
    case = results.case
    before, train, validation = results.backup.read_bytes(), split.train, split.validation
    family, options = changed.get("family", case.family), case.options
    if "train" in changed:
        train = train.keep(np.arange(len(train.interactions)) > 0)
    elif "content" in changed:
        train = Dataset.from_frames(train.interactions, train.items.assign(title="one title"))
        assert np.array_equal(train.item_indices, split.train.item_indices)
    elif "validation" in changed:
        others = replace(validation, items=validation.items[::-1].copy())
        validation = others if changed["validation"] == "other" else None
    elif "family" in changed:
        options = {"dim": 8}
    else:
        options = options | changed
    with pytest.raises(InputError, match=rf"fit is the backup of a fit with another {named}\b") as refusal:
        model_class(family)(**options).fit(train, validation, verbose=0, backup=results.backup)
    assert "\n" not in str(refusal.value)
    assert results.backup.read_bytes() == before


@pytest.mark.parametrize("results", [FIRST], indirect=True)
def test_a_damaged_backup_is_refused(results: Resumed, split: Split, tmp_path: Path) -> None:
    case, whole, path = results.case, results.backup.read_bytes(), tmp_path / "fit"
    with (tmp_path / "other.npz").open("wb") as file:
        np.savez(file, description=np.array("[]"), variables_0=np.zeros(3))
    damaged = [
        b"",
        b"text",
        whole[:100],
        whole[: len(whole) // 2],
        whole[:-1],
        whole.replace(b"PK\x03\x04", b"PK\x03\x05"),
        (tmp_path / "other.npz").read_bytes(),
    ]
    unreadable = bytearray(whole)
    unreadable[whole.index(b"PK\x01\x02") + 10] = 99  # an unknown compression method
    damaged.append(bytes(unreadable))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{path} is not a backup of a fit; remove it, or choose another path"):
            model_class(case.family)(**case.options).fit(split.train, split.validation, verbose=0, backup=path)
        assert path.read_bytes() == content


@pytest.fixture
def fit() -> Callable[..., None]:
    """Fit a tiny model up to an epoch, with a backup."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", run_eagerly=True)

    def fit(backup: Backup, epochs: int) -> None:
        model.fit(np.ones((2, 1)), np.ones(2), epochs=epochs, initial_epoch=backup.epoch, callbacks=[backup], verbose=0)

    return fit


def backup_at(path: Path) -> Backup:
    return Backup(path, {"a": 1}, keras.callbacks.EarlyStopping())


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(1, "remove it, or choose another path"), (3, "upgrade tfllmrec, or remove it, or choose another path")],
)
def test_a_backup_of_another_format_is_refused(
    fit: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    path = tmp_path / "fit"
    monkeypatch.setattr(backup_module, "_FORMAT", number)
    fit(backup_at(path), 2)
    monkeypatch.undo()
    sentence = f"{path} has format {number}; this version of tfllmrec reads format 2: {remedy}"
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        backup_at(path)


def test_a_backup_is_replaced_atomically(
    fit: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "new" / "fit", np.savez

    def write_half(file: Any, **arrays: np.ndarray) -> None:
        write(file, **arrays)
        file.truncate(file.tell() // 2)
        raise InterruptionError

    fit(backup_at(path), 1)
    assert not list(tmp_path.iterdir())  # a fit of one epoch ends with it: no backup is written
    fit(backup_at(path), 3)
    assert backup_at(path).epoch == 2
    monkeypatch.setattr(np, "savez", write_half)
    with pytest.raises(InterruptionError):
        fit(backup_at(path), 4)
    assert backup_at(path).epoch == 2


def test_an_unwritable_folder_is_refused(fit: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "fit"
    with pytest.raises(InputError, match=f"{path.parent}") as refusal:
        fit(backup_at(path), 2)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("family", ["popularity", "markov_chain", "ease"])
def test_families_without_epochs_ignore_the_backup(board: Checkerboard, tmp_path: Path, family: str) -> None:
    model_class(family)().fit(board.data, verbose=0, backup=tmp_path / "new")
    (tmp_path / "text").write_text("text")
    model_class(family)().fit(board.data, verbose=0, backup=tmp_path / "text")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
    assert (tmp_path / "text").read_text() == "text"
