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

    Example::

        model.fit(
            batches,
            epochs=100,
            callbacks=[
                RankingCallback(lambda: scores_of(model), split.validation, history_length=50),
                keras.callbacks.EarlyStopping(
                    monitor="val_ndcg@10", mode="max", patience=3, restore_best_weights=True
                ),
            ],
        )
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
