"""How many seconds a fit took, of families of several parts."""

import pytest

from tfllmrec import BertRanker
from tfllmrec.data import leave_one_out
from tfllmrec.training.runs import timed_fit


def test_the_epochs_of_the_parts_count(board, quick_ranking):
    ranker, split = BertRanker(history_length=4, **quick_ranking["bert_ranker"]), leave_one_out(board.data)
    seconds = timed_fit(ranker, split.train, split.validation)
    logs = (ranker.built.pretrain_log, ranker.training_log, ranker.built.towers.training_log)
    assert [len(log["seconds"]) for log in logs] == [1, 2, 1]
    assert seconds == pytest.approx(sum(sum(log["seconds"]) for log in logs))
