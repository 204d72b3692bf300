"""Fit families with progress, and compare them on the test targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from tfllmrec.data import Split
from tfllmrec.evaluation.bootstrap import Interval, difference
from tfllmrec.evaluation.metrics import ndcg, summarise
from tfllmrec.evaluation.report import Scores
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.registry import model_class
from tfllmrec.quickstart.show import REFERENCE, show_fit
from tfllmrec.quickstart.timing import timed
from tfllmrec.stages import stage
from tfllmrec.training.progress import EpochProgress


def fit_families(
    names: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    split: Split,
    seconds: dict[str, float],
    console: Console,
) -> dict[str, Recommender]:
    """Fit families in sequence.

    Args:
        names: family names.
        options: options by family; others are chosen from the size of the data.
        split: training part and validation targets.
        seconds: dictionary to which the duration of each fit is added.
        console: output.

    Returns:
        Fitted recommenders by family.
    """
    fitted: dict[str, Recommender] = {}
    for name in names:
        with timed(seconds, name), stage(f"Training {name}", console) as running:
            model = model_class(name).from_options(options.get(name, {}))
            fitted[name] = model.fit(split.train, split.validation, callbacks=[EpochProgress(running)], verbose=0)
        show_fit(console, fitted[name], seconds[name])
    return fitted


def compare(fitted: Mapping[str, Recommender], split: Split) -> tuple[Scores, dict[str, Interval]]:
    """Evaluate recommenders on the test targets.

    Returns:
        Metrics by family, and intervals of the differences in ndcg@10 to the reference.
    """
    rankings = {name: model.rank_targets(split.test) for name, model in fitted.items()}
    scores = {name: summarise(ranking, split.train.item_counts) for name, ranking in rankings.items()}
    gains = {name: ndcg(ranking.ranks, 10) for name, ranking in rankings.items()}
    return scores, {name: difference(gain, gains[REFERENCE]) for name, gain in gains.items() if name != REFERENCE}
