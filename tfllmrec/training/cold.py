"""Cold-start evaluation: metrics on new items and new users."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.data.cold_splits import cold_items, cold_users
from tfllmrec.data.dataset import Dataset
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.ranking import rank_targets
from tfllmrec.models.base.config import Config
from tfllmrec.models.base.recommender import Recommender

Callbacks = Sequence[keras.callbacks.Callback]


def cold_scores(
    recommender: Recommender, data: Dataset, *, seed: int = 0, callbacks: Callbacks = ()
) -> dict[str, dict[str, float]]:
    """Evaluate a family on new items and on new users.

    Args:
        recommender: fitted recommender; its family is fitted twice more with the resolved configuration.
        data: whole data set.
        seed: seed of the selection of cold items and users.
        callbacks: Keras callbacks of both fits.

    Returns:
        Metrics at 10 for "new items", "new users after 0", "new users after 1" and "new users after 3"; see
        `tfllmrec.evaluation.report.cold_table`.

    Raises:
        InputError: See `Recommender.refit_config`.
    """
    family, config = type(recommender), recommender.refit_config()
    item_scores = cold_item_scores(family, config, data, seed=seed, callbacks=callbacks)
    user_scores = cold_user_scores(family, config, data, seed=seed, callbacks=callbacks)
    by_length = {f"new users after {length}": metrics for length, metrics in user_scores.items()}
    return {"new items": item_scores} | by_length


def cold_item_scores(
    family: type[Recommender], config: Config, data: Dataset, *, seed: int = 0, callbacks: Callbacks = ()
) -> dict[str, float]:
    """Fit without a seeded tenth of the items, then rank only these items for their users.

    Args:
        family: family to fit.
        config: configuration with a fixed number of epochs, see `Recommender.refit_config`.
        data: whole data set.
        seed: seed of the selection.
        callbacks: Keras callbacks.

    Returns:
        Metrics at 10.
    """
    cold = cold_items(data, seed=seed)
    fitted = family.with_config(config).fit(cold.train, callbacks=callbacks, verbose=0)
    return fitted.evaluate(cold.targets, item_subset=cold.items)


def cold_user_scores(
    family: type[Recommender], config: Config, data: Dataset, *, seed: int = 0, callbacks: Callbacks = ()
) -> dict[int, dict[str, float]]:
    """Fit without a seeded tenth of the users, then rank their last items after histories of 0, 1 and 3 items.

    A model with user features receives the features of the new users.

    Args:
        family: family to fit.
        config: configuration with a fixed number of epochs, see `Recommender.refit_config`.
        data: whole data set.
        seed: seed of the selection.
        callbacks: Keras callbacks.

    Returns:
        Metrics at 10 by length of the history.
    """
    cold = cold_users(data, seed=seed)
    fitted = family.with_config(config).fit(cold.train, callbacks=callbacks, verbose=0)
    stored_features = fitted.fitted_data.features

    def score(users: np.ndarray, histories: np.ndarray, scenarios: np.ndarray | None = None) -> tf.Tensor:
        features = None if stored_features is None else stored_features.stored[users]
        return fitted.score(np.zeros_like(users), histories, scenarios, features=features)

    scores = {}
    for length, targets in cold.targets.items():
        targets = replace(targets, users=cold.target_users)
        ranking = rank_targets(score, targets, fitted.history_length, by_scenario=fitted.built.reads_scenarios)
        scores[length] = summarise(ranking, fitted.fitted_data.counts)
    return scores
