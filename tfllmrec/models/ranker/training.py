"""Training of rankers on candidate lists, or on ratings."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfllmrec.data.batches import rating_batches
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.evaluation.lists import ListCallback
from tfllmrec.evaluation.ratings import RatingCallback
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.trainer import FitContext, Trainer, TrainingLog, fit_settings
from tfllmrec.models.ranker.candidates import TrainingLists, predicted_ratings, ranker_scores
from tfllmrec.models.ranker.config import RankerConfig
from tfllmrec.tasks.ranking import RankingModel, RankingTask


def ranker_trainer(config: RankerConfig) -> Trainer:
    """Return the trainer of a ranker, which monitors the metric of its objective."""
    return Trainer(config, "val_rmse", "min") if config.objective == "rating" else Trainer(config)


def train_ranker(
    predictor: Predictor,
    config: RankerConfig,
    train: Dataset,
    lists: TrainingLists | None,
    validation: Targets | None,
    context: FitContext,
) -> TrainingLog:
    """Train the candidate scorer of a ranker under `tfrs.tasks.Ranking`.

    Args:
        predictor: calls the models.
        config: the configuration.
        train: the training part.
        lists: lists to train on and to validate with; None learns ratings.
        validation: validation targets.
        context: callbacks, verbosity and backup.

    Returns:
        The training log.
    """
    built = predictor.built
    return ranker_trainer(config).fit(
        RankingModel(built.candidate_scorer, RankingTask(config.objective)),
        _batches(config, train, lists),
        context,
        validation=_validation(predictor, lists, validation),
        settings=fit_settings(predictor.family, config, built.model, train, validation),
        seed_generator=keras.random.SeedGenerator(config.seed),
    )


def _batches(config: RankerConfig, train: Dataset, lists: TrainingLists | None) -> Callable[[int], tf.data.Dataset]:
    def batches(first_epoch: int) -> tf.data.Dataset:
        sizes, order = (config.history_length, config.batch_size), {"seed": config.seed, "first_epoch": first_epoch}
        if lists is None:
            return rating_batches(train, *sizes, **order)
        return lists.train.batches(*sizes, size=config.list_size or None, **order)

    return batches


def _validation(
    predictor: Predictor, lists: TrainingLists | None, validation: Targets | None
) -> keras.callbacks.Callback | None:
    if validation is None:
        return None
    if lists is None or lists.validation is None:
        return RatingCallback(lambda targets: predicted_ratings(predictor, targets), validation)
    return ListCallback(lambda part: ranker_scores(predictor, part), lists.validation)
