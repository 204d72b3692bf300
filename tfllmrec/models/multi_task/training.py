"""Training of a multi-task network on the windows of histories."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.content.item_tokens import label_matrix
from tfllmrec.content.user_text_means import UserTextMeans
from tfllmrec.data.batches import labelled_window_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.evaluation.ratings import RatingCallback
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.trainer import FitContext, Trainer, TrainingLog, fit_settings, ranking_validation
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.inference import TaskPredictor
from tfllmrec.models.multi_task.scoring import MultiTaskModels
from tfllmrec.models.multi_task.tasks import training_model


def train_network(
    predictor: Predictor,
    built: MultiTaskModels,
    config: MultiTaskConfig,
    train: Dataset,
    validation: Targets | None,
    context: FitContext,
    written: UserTextMeans | None,
) -> TrainingLog:
    """Train a network on all its tasks, and update the models that score.

    Args:
        predictor: calls the models.
        built: the models.
        config: the configuration.
        train: the training part.
        validation: targets that decide when to stop.
        context: callbacks, verbosity and backup.
        written: the vectors of user texts, or None.
    """
    seed_generator = keras.random.SeedGenerator(config.seed)
    counts = predictor.fitted_data.counts * built.members[1:]
    labels = label_matrix(train.items, built.labels) if "interests" in config.tasks else None
    log = multi_task_trainer(config).fit(
        training_model(built.network, config, counts, labels, written, seed_generator),
        _batches(config, train, written),
        context,
        validation=_validation(predictor, built, config, validation),
        settings=fit_settings(predictor.family, config, built.model, train, validation),
        seed_generator=seed_generator,
    )
    built.update()
    return log


def multi_task_trainer(config: MultiTaskConfig) -> Trainer:
    """Return the trainer, which monitors the error of ratings where they are the only task."""
    return Trainer(config, "val_rmse", "min") if _ratings_only(config) else Trainer(config)


def _ratings_only(config: MultiTaskConfig) -> bool:
    return config.tasks == ("rating",)


def _validation(
    predictor: Predictor, built: MultiTaskModels, config: MultiTaskConfig, validation: Targets | None
) -> keras.callbacks.Callback | None:
    """Return the callback that adds the monitored metric to the logs, or None without targets."""
    if validation is None or not _ratings_only(config):
        return ranking_validation(predictor, validation)
    tasks = TaskPredictor(predictor, built, config.tasks)

    def ratings(targets: Targets) -> np.ndarray:
        built.update()
        return tasks.pairs("rating", targets)

    return RatingCallback(ratings, validation)


def _batches(
    config: MultiTaskConfig, train: Dataset, written: UserTextMeans | None
) -> Callable[[int], tf.data.Dataset]:
    labels: dict[str, np.ndarray] = {}
    if train.scenarios is not None:
        labels["scenario"] = train.scenario_indices
    if "rating" in config.tasks:
        labels["rating"] = train.ratings
    if "like" in config.tasks:
        labels["like"] = train.likes(config.like_threshold)
    if written is not None:
        labels["written"] = written.before
    return lambda first_epoch: labelled_window_batches(
        train, labels, config.history_length, config.batch_size, seed=config.seed, first_epoch=first_epoch
    )
