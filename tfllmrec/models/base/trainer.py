"""Training in epochs: AdamW, averaged weights, early stopping, and backups that a fit resumes from."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.callback import RankingCallback
from tfllmrec.models.base.backup import Backup
from tfllmrec.models.base.config import STRICT, Config, Fraction, NotNegative, Positive
from tfllmrec.models.base.predictor import Predictor

TrainingLog = Mapping[str, list[float]]
"""The logs of Keras `fit`: one value per epoch, by name."""


@dataclass(frozen=True)
class FitContext:
    """The arguments of `fit` other than the data.

    Attributes:
        callbacks: callbacks for Keras `fit`.
        verbose: as in Keras `fit`.
        backup: a file for the state after every epoch, or None.
        retrieve: finds the candidate lists that a ranker learns from, or None for the ranker's own retriever.
    """

    callbacks: Sequence[keras.callbacks.Callback] = ()
    verbose: int | str = "auto"
    backup: Path | None = None
    retrieve: Callable[..., Any] | None = None

    def for_part(self, name: str) -> Self:
        """Return the context for a part that is fitted separately, with a backup in the same folder."""
        backup = self.backup and self.backup.with_name(f"{name}-{self.backup.name}")
        return replace(self, backup=backup, retrieve=None)


@checked_dataclass(frozen=True, config=STRICT)
class NeuralConfig(Config):
    """The options of families that train in epochs, in addition to those of every `Config`.

    Attributes:
        learning_rate: learning rate of AdamW.
        warmup: epochs in which the learning rate rises from 0.
        schedule: learning rate after the warm-up: "constant", or "cosine" down to 0 at the last epoch.
        weight_decay: weight decay of AdamW.
        ema: momentum of the moving average of the weights that is evaluated and kept.
        batch_size: examples a step.
        epochs: maximum number of epochs.
        patience: epochs without a better validation ndcg@10 before training stops.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup: NotNegative = 0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    ema: Fraction = 0.99
    batch_size: Positive = 1024
    epochs: Positive = 30
    patience: Positive = 3


@dataclass(frozen=True)
class Trainer:
    """Train with Keras `fit` on AdamW; a moving average of the weights is evaluated and kept.

    Attributes:
        config: the training options.
        monitor: the validation metric that decides when to stop.
        mode: whether the metric is to be maximised ("max") or minimised ("min").
    """

    config: Any
    monitor: str = "val_ndcg@10"
    mode: Literal["max", "min"] = "max"

    def fit(
        self,
        model: keras.Model,
        batches: Callable[[int], tf.data.Dataset],
        context: FitContext,
        *,
        validation: keras.callbacks.Callback | None,
        settings: Mapping[str, Any],
        seed_generator: keras.random.SeedGenerator,
        epochs: int | None = None,
    ) -> TrainingLog:
        """Train a model.

        Args:
            model: the trained model with its loss, such as a `tfllmrec.tasks.task.TaskModel`.
            batches: returns the batches from an epoch on; one iteration is an epoch.
            context: callbacks, verbosity and backup.
            validation: adds the monitored metric to the logs; None trains for all epochs.
            settings: plain values that a backup must agree with; see `fit_settings`.
            seed_generator: the source of the task's random draws, which a backup includes.
            epochs: maximum number of epochs instead of the configuration's.

        Returns:
            The logs of all epochs, those before a resumed one included.

        Raises:
            InputError: If there are no batches.
        """
        config, epochs = self.config, epochs or self.config.epochs
        model.seed_generator = seed_generator  # tracked with the model's variables
        stopping = keras.callbacks.EarlyStopping(
            self.monitor, mode=self.mode, patience=config.patience, restore_best_weights=True
        )
        backup = None if context.backup is None else Backup(context.backup, settings, stopping)
        done = backup.epoch if backup else 0
        data = batches(done)
        if not len(data):
            raise InputError(
                "fit: there is nothing to learn from, because no user has an interaction after an earlier one; give "
                "more interactions, or use popularity, ease or word2vec"
            )
        model.compile(self._optimizer(len(data), epochs), jit_compile=False)
        _check_callbacks(context.callbacks, model.optimizer)
        model.optimizer.build(model.trainable_variables)  # in the first step it would cause a second trace
        logs = model.fit(
            data,
            epochs=epochs,
            initial_epoch=done,
            verbose=context.verbose,
            shuffle=False,  # the batches are shuffled
            callbacks=[
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),  # first: the others see the averaged weights
                *([] if validation is None else [validation, stopping]),
                *context.callbacks,
                *([backup] if backup else []),
            ],
        ).history
        return backup.logs if backup else logs

    def best_epochs(self, log: TrainingLog) -> int:
        """Return the number of epochs with the best validation metric.

        Raises:
            InputError: If the log has no validation metric.
        """
        if self.monitor not in log:
            raise InputError("fit: without validation targets the best number of epochs is unknown; give validation")
        best = np.argmax if self.mode == "max" else np.argmin
        return int(best(log[self.monitor])) + 1

    def _optimizer(self, steps: int, epochs: int) -> keras.optimizers.Optimizer:
        config = self.config
        return keras.optimizers.AdamW(
            learning_rate(config.learning_rate, config.schedule, config.warmup * steps, epochs * steps),
            config.weight_decay,
            use_ema=True,
            ema_momentum=config.ema,
        )


_SETS_LEARNING_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


def _check_callbacks(callbacks: Sequence[keras.callbacks.Callback], optimizer: keras.optimizers.Optimizer) -> None:
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise InputError(
                "fit: BackupAndRestore does not restore early stopping and random draws; give backup=FILE instead"
            )
        if isinstance(callback, _SETS_LEARNING_RATE) and callable(optimizer._learning_rate):
            raise InputError(
                f"fit: {type(callback).__name__} sets the learning rate, as the options warmup and schedule do; give "
                'warmup=0 and schedule="constant", or leave the callback out'
            )


def ranking_validation(predictor: Predictor, validation: Targets | None) -> RankingCallback | None:
    """Return the callback that ranks validation targets after every epoch, or None without targets."""
    if validation is None:
        return None
    built = predictor.built

    def scorer() -> Any:
        built.update()
        return predictor.score

    return RankingCallback(scorer, validation, built.history_length, by_scenario=built.reads_scenarios)


def fit_settings(
    family: str, config: Config, model: keras.Model, train: Dataset, validation: Targets | None
) -> Mapping[str, Any]:
    """Return the values that a backup and the fit that resumes from it must share."""
    histories, content = train.histories, [weight.numpy() for weight in model.non_trainable_weights]
    return {
        "family": family,
        **config.to_dict(),
        "training data": _checksum(histories.offsets, histories.values, *content),
        "validation targets": None if validation is None else _checksum(validation.users, validation.items),
    }


def _checksum(*arrays: np.ndarray) -> int:
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def learning_rate(rate: float, schedule: str, warmup: int, steps: int) -> Any:
    """Return a learning rate or a schedule for `keras.optimizers`.

    Args:
        rate: the highest learning rate.
        schedule: "constant" or "cosine".
        warmup: steps in which the learning rate rises from 0.
        steps: steps of the whole training.
    """
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate, max(steps - warmup, 1), warmup_target=rate if warmup else None, warmup_steps=warmup
        )
    if not warmup:
        return rate
    return keras.optimizers.schedules.PolynomialDecay(rate / warmup, warmup, end_learning_rate=rate)
