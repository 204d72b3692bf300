"""How a family does on items and users that it has never met."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from tfllmrec.data.cold_splits import cold_items, cold_users
from tfllmrec.data.dataset import Dataset
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.ranking import rank_targets
from tfllmrec.models.base.config import Config
from tfllmrec.models.base.recommender import Recommender


def cold_scores(recommender: Recommender, data: Dataset, *, seed: int = 0) -> dict[str, dict[str, float]]:
    """Both, for a family as it was fitted: what `tfllmrec.evaluation.report.cold_table` shows.

    Args:
        recommender: fitted; its family is fitted twice more with its settled configuration.
        data: the whole table.
        seed: of what is cold.

    Returns:
        Metrics at 10 of "new items", and of "new users after 0" and so on.

    Raises:
        InputError: see `Recommender.refit_config`.
    """
    family, config = type(recommender), recommender.refit_config()
    found = {"new items": cold_item_scores(family, config, data, seed=seed)}
    by_length = cold_user_scores(family, config, data, seed=seed)
    return found | {f"new users after {length}": metrics for length, metrics in by_length.items()}


def cold_item_scores(family: type[Recommender], config: Config, data: Dataset, *, seed: int = 0) -> dict[str, float]:
    """Metrics at 10 of new items, a seeded tenth, ranked among themselves for those who came to have them.

    Args:
        family: what to fit.
        config: with epochs that need no validation to stop; see `Recommender.refit_config`.
        data: the whole table.
        seed: of the draw.
    """
    cold = cold_items(data, seed=seed)
    return family.with_config(config).fit(cold.train, verbose=0).evaluate(cold.targets, item_subset=cold.items)


def cold_user_scores(
    family: type[Recommender], config: Config, data: Dataset, *, seed: int = 0
) -> dict[int, dict[str, float]]:
    """Metrics at 10 of the last items of new users, a seeded tenth, after histories of 0, 1 and 3 items.

    A model that reads users' features is told those of the new users.

    Args:
        family: what to fit.
        config: see `cold_item_scores`.
        data: the whole table.
        seed: of the draw.

    Returns:
        Metrics by length of the history.
    """
    cold = cold_users(data, seed=seed)
    fitted = family.with_config(config).fit(cold.train, verbose=0)
    features = fitted.fitted_data.features

    def score(users: np.ndarray, histories: np.ndarray, scenarios: np.ndarray | None = None) -> tf.Tensor:
        told = None if features is None else features.stored[users]
        return fitted.score(np.zeros_like(users), histories, scenarios, features=told)

    counts, found = fitted.fitted_data.counts, {}
    for length, targets in cold.targets.items():
        asked = replace(targets, users=cold.target_users)
        ranking = rank_targets(score, asked, fitted.history_length, by_scenario=fitted.built.reads_scenarios)
        found[length] = summarise(ranking, counts)
    return found
