"""Ranking metrics in the logs of `fit`."""

from collections.abc import Callable

import keras

from tfllmrec.data.splits import Targets
from tfllmrec.evaluation import metrics
from tfllmrec.evaluation.ranking import Scorer, rank_targets


class RankingCallback(keras.callbacks.Callback):
    """Add `val_ndcg@k` and `val_recall@k` to the logs of every epoch, by full ranking of all targets.

    Callbacks after this one in the list see the metrics, and so do `History` and the progress bar.

    Args:
        make_scorer: called at the end of each epoch; its scorer may cache what depends on the weights.
        targets: the validation targets.
        history_length: items of a history that the model reads.
        k: length of the lists.
        by_scenario: see `tfllmrec.evaluation.rank_targets`.

    Example:
        >>> from tfllmrec import checkerboard, leave_one_out
        >>> split = leave_one_out(checkerboard(users=8, items=8).data)
        >>> def make_scorer():
        ...     return lambda users, histories: np.tile(np.arange(9.0), (len(users), 1))
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> training_log = model.fit(
        ...     np.ones((4, 2)),
        ...     np.ones((4, 1)),
        ...     verbose=0,
        ...     callbacks=[
        ...         RankingCallback(make_scorer, split.validation, history_length=50),
        ...         keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", restore_best_weights=True),
        ...     ],
        ... )
        >>> "val_ndcg@10" in training_log.history
        True
    """

    def __init__(
        self,
        make_scorer: Callable[[], Scorer],
        targets: Targets,
        history_length: int,
        k: int = 10,
        *,
        by_scenario: bool = False,
    ) -> None:
        super().__init__()
        self.make_scorer = make_scorer
        self.targets = targets
        self.history_length = history_length
        self.k = k
        self.by_scenario = by_scenario

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Rank the targets with the weights of this epoch."""
        if logs is None:
            return
        ranking = rank_targets(  # the lists are not used
            self.make_scorer(), self.targets, self.history_length, k=1, by_scenario=self.by_scenario
        )
        ranks = ranking.ranks
        logs[f"val_ndcg@{self.k}"] = float(metrics.ndcg(ranks, self.k).mean())
        logs[f"val_recall@{self.k}"] = float(metrics.recall(ranks, self.k).mean())
