"""The tasks of a multi-task network with their losses."""

import keras
import numpy as np

from tfllmrec.content.user_text_means import UserTextMeans
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.network import MultiTaskNetwork
from tfllmrec.tasks import negatives
from tfllmrec.tasks.multi_task import MultiTaskModel
from tfllmrec.tasks.negatives import Seed
from tfllmrec.tasks.next_item import NextItemTask
from tfllmrec.tasks.next_item_loss import NextItemLoss
from tfllmrec.tasks.ranking import RankingTask
from tfllmrec.tasks.retrieval import Retrieval
from tfllmrec.tasks.task_losses import InterestsTaskLoss, NextItemTaskLoss, PairTaskLoss, RetrievalTaskLoss, TaskLoss


def training_model(
    network: MultiTaskNetwork,
    config: MultiTaskConfig,
    counts: np.ndarray,
    labels: np.ndarray | None,
    written: UserTextMeans | None,
    seed_generator: keras.random.SeedGenerator,
) -> MultiTaskModel:
    """Build the model that trains a network on all its tasks.

    Args:
        network: the network.
        config: the configuration.
        counts: interactions by scenario and item, [scenarios, items + 1].
        labels: the interest labels of every item, bool [items + 1, labels], or None.
        written: the vectors of user texts, or None.
        seed_generator: the source of random draws.
    """
    weights = None
    if config.weighting == "given":
        weights = {task: float(config.weights.get(task, 1.0)) for task in config.tasks}
    return MultiTaskModel(
        network.model,
        network.state_model(),
        network.vector_model(),
        [_task_loss(task, network, config, counts, seed_generator) for task in config.tasks],
        weights,
        labels=labels,
        interest_window=config.interest_window,
        written=None if written is None else written.means,
    )


def _task_loss(
    task: str, network: MultiTaskNetwork, config: MultiTaskConfig, counts: np.ndarray, seed: Seed
) -> TaskLoss:
    """Build the loss of a task around its head."""
    head, candidates = network.layers.heads[task], network.candidates
    match task:
        case "next_item":
            return NextItemTaskLoss(_next_item_losses(candidates, config, counts, seed), head)
        case "retrieval":
            in_batch = negatives.in_batch(counts.max(axis=0))
            return RetrievalTaskLoss(Retrieval(), head, candidates, in_batch, max_positions=config.in_batch, seed=seed)
        case "interests":
            return InterestsTaskLoss(RankingTask("pointwise"), head)
        case _:
            return PairTaskLoss(task, RankingTask("rating" if task == "rating" else "pointwise"), head, candidates)


def _next_item_losses(
    candidates: keras.Model, config: MultiTaskConfig, counts: np.ndarray, seed: Seed
) -> list[NextItemLoss | None]:
    """Build the next-item loss of every scenario; None for a scenario without interactions."""
    task = NextItemTask(label_smoothing=config.label_smoothing, precision=config.precision)

    def loss(own: np.ndarray) -> NextItemLoss:
        sampled = negatives.mixed(own, config.num_negatives, seed) if config.negatives == "sampled" else None
        return NextItemLoss(task, candidates, item_counts=own, negatives=sampled, hide_seen=config.hide_seen)

    return [loss(own) if own.any() else None for own in counts]
