"""What families that train in epochs have in common: optimizer, averaged weights, early stopping, backups."""

import zlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.callback import RankingCallback
from tfllmrec.models.base.backup import Backup
from tfllmrec.models.base.config import STRICT, Config, Fraction, Positive
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.base.recommender import Recommender


@dataclass(frozen=True, config=STRICT)
class NeuralConfig(Config):
    """Attributes beside those of every `Config`.

    learning_rate: of AdamW.
    warmup: epochs in which the learning rate rises from 0.
    schedule: of the learning rate after that: constant, or cosine down to 0 at the last epoch.
    weight_decay: of AdamW.
    ema: momentum of the moving average of the weights that is evaluated and kept.
    batch_size: examples a step.
    epochs: at most.
    patience: epochs without a better validation ndcg@10 before training stops.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    ema: Fraction = 0.99
    batch_size: Positive = 1024
    epochs: Positive = 30
    patience: Positive = 3


class NeuralRecommender(Recommender):
    """A recommender trained with Keras `fit` on AdamW; what is kept is a moving average of the weights.

    A family says what its functional model is (`_build`), what trains it (`_trainer`) and on which batches
    (`_batches`), and keeps copies that are served up to date (`_update_served`).
    """

    config: Any
    _chosen_by: str = "val_ndcg@10"  # what decides on the validation targets when to stop
    _better: Literal["max", "min"] = "max"

    @abstractmethod
    def _build(self, train: Dataset) -> keras.Model:
        """The functional model that is trained and saved."""

    @abstractmethod
    def _trainer(self) -> keras.Model:
        """A model around `self.model` with a loss; random draws are to come from `self._draws`."""

    @abstractmethod
    def _batches(self, train: Dataset, first_epoch: int) -> tf.data.Dataset:
        """What to train on, an epoch an iteration."""

    @abstractmethod
    def _update_served(self) -> None:
        """Bring what is served beside the model, such as item vectors, up to date with it."""

    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        self.model = self._build(train)
        self._train(train, validation, fitting)

    def fit_more(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        """Train what was fitted further, on a training part of the same users and items with more interactions.

        It starts from the weights there are, so that what was learnt on its vectors still fits them afterwards.

        Args:
            train: with the interactions that were there before, too.
            validation: decides when to stop, after `config.epochs` at most.
            fitting: with a backup of its own; that of the first fit is another's.
        """
        self.fitted_data = self._catalogue_of(train)
        self.model.trainable = True
        self._train(train, validation, fitting)

    def _train(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        config = self.config
        self._seed_generator = keras.random.SeedGenerator(config.seed)
        self._assemble()
        trainer = self._trainer()
        trainer.draws = self._seed_generator  # so that a backup has it
        stopping = keras.callbacks.EarlyStopping(
            self._chosen_by, mode=self._better, patience=config.patience, restore_best_weights=True
        )
        validating = [] if validation is None else [self._ranking(validation), stopping]
        kept = None if fitting.backup is None else Backup(fitting.backup, self._settings(train, validation), stopping)
        done = kept.epoch if kept else 0
        batches = self._batches(train, done)
        trainer.compile(self._optimizer(len(batches)), jit_compile=False)
        trainer.optimizer.build(trainer.trainable_variables)  # made in the first step, they would have it traced twice
        logs = trainer.fit(
            batches,
            epochs=config.epochs,
            initial_epoch=done,
            verbose=fitting.verbose,
            shuffle=False,  # the batches are
            callbacks=[
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),  # first, so that all others see the average
                *validating,
                *fitting.callbacks,
                *([kept] if kept else []),
            ],
        ).history
        self.training_log = kept.logs if kept else logs
        self._update_served()

    def refit_config(self) -> NeuralConfig:
        """As many epochs as were best on the validation targets.

        Raises:
            InputError: there were none.
        """
        return replace(self.config, epochs=self.best_epochs(self.training_log))

    def best_epochs(self, history: Mapping[str, list[float]]) -> int:
        """How many epochs of a fit of this family were best on the validation targets, from what it logged.

        Raises:
            InputError: there were none.
        """
        if self._chosen_by not in history:
            raise InputError(f"{self.family}: only a fit with validation targets tells how many epochs are best")
        best = np.argmax if self._better == "max" else np.argmin
        return int(best(history[self._chosen_by])) + 1

    def _optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        config = self.config
        return keras.optimizers.AdamW(
            learning_rate(config.learning_rate, config.schedule, config.warmup * steps, config.epochs * steps),
            config.weight_decay,
            use_ema=True,
            ema_momentum=config.ema,
        )

    def _ranking(self, validation: Targets) -> RankingCallback:
        def current_scorer() -> Any:
            self._update_served()
            return self.score

        return RankingCallback(current_scorer, validation, self.history_length, by_scenario=self.reads_scenarios)

    def _settings(self, train: Dataset, validation: Targets | None) -> Mapping[str, Any]:
        """What a backup must have in common with the fit that goes on from it."""
        histories, content = train.histories, [weight.numpy() for weight in self.model.non_trainable_weights]
        return {
            "family": self.family,
            **self.config.to_dict(),
            "training data": _checksum(histories.offsets, histories.values, *content),
            "validation targets": None if validation is None else _checksum(validation.users, validation.items),
        }


def _checksum(*arrays: np.ndarray) -> int:
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def learning_rate(rate: float, schedule: str, warmup: int, steps: int) -> Any:
    """A learning rate, or a schedule, for `keras.optimizers`.

    Args:
        rate: the highest.
        schedule: "constant" or "cosine".
        warmup: steps in which it rises from 0.
        steps: of the whole training.
    """
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate, max(steps - warmup, 1), warmup_target=rate if warmup else None, warmup_steps=warmup
        )
    if not warmup:
        return rate
    return keras.optimizers.schedules.PolynomialDecay(rate / warmup, warmup, end_learning_rate=rate)
