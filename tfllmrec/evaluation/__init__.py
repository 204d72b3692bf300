"""The full-ranking protocol, metrics, the Keras callback, reports and plots."""

from tfllmrec.keras_state import require_tensorflow_backend

require_tensorflow_backend()

from tfllmrec.evaluation.bootstrap import Interval, difference
from tfllmrec.evaluation.callback import RankingCallback
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.plots import plot_report
from tfllmrec.evaluation.ranking import RankedTargets, Scorer, rank_targets
from tfllmrec.evaluation.report import score_table, write_report

__all__ = [
    "Interval",
    "RankedTargets",
    "RankingCallback",
    "Scorer",
    "difference",
    "plot_report",
    "rank_targets",
    "score_table",
    "summarise",
    "write_report",
]
