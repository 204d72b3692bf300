"""Training time of families with several parts, of resumed fits, and of families without epochs."""

from types import SimpleNamespace

import pytest

from tfllmrec.training import progress
from tfllmrec.training.runs import timed_fit


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that advances by a second with every reading."""
    seconds = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))


def recommender_with(parts, earlier_epochs=0):
    """Return a fake recommender with a fit that runs the callbacks of several parts, the last one from a backup.

    Args:
        parts: number of epochs of each part.
        earlier_epochs: number of epochs in the backup, of 100 seconds each.
    """
    fake = SimpleNamespace(training_log={})

    def fit_in_context(train, validation, context):
        for epochs in parts:
            logged = []
            for epoch in range(epochs):
                logs = {}
                for callback in context.callbacks:
                    callback.on_epoch_begin(epoch)
                for callback in context.callbacks:
                    callback.on_epoch_end(epoch, logs)
                logged.append(logs["seconds"])
            fake.training_log = {"seconds": [100.0] * earlier_epochs + logged}

    fake.fit_in_context = fit_in_context
    return fake


def test_the_epochs_of_all_parts_count():
    assert timed_fit(recommender_with([1, 2, 1]), None) == 4


def test_the_epochs_in_a_backup_count():
    assert timed_fit(recommender_with([2], earlier_epochs=3), None) == 302


def test_a_family_without_epochs_is_timed_as_a_whole():
    assert timed_fit(recommender_with([]), None) == 1


def test_callbacks_see_the_seconds_of_an_epoch():
    class Watch(progress.EpochSeconds):
        def on_epoch_end(self, epoch, logs):
            self.total = logs["seconds"]

    watch = Watch()
    timed_fit(recommender_with([1]), None, callbacks=[watch])
    assert watch.total == 2  # the clock was also read by the watch
