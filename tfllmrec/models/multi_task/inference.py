"""Predictions of single tasks: ratings, likes and interests, and the use of the experts."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.blocks import block_size, row_blocks
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.request_indices import rows_of
from tfllmrec.models.multi_task.scoring import PAIR_OUTPUTS, MultiTaskModels
from tfllmrec_client.requests import RecommendRequest

_BLOCK = 1024  # targets, rows of a request, or their texts in a call


class TaskPredictor:
    """Calls the models of single tasks.

    Args:
        predictor: calls the models of the recommender.
        built: these models.
        tasks: the tasks, in the order of the network.
    """

    def __init__(self, predictor: Predictor, built: MultiTaskModels, tasks: Sequence[str]) -> None:
        self._predictor, self._built, self._tasks = predictor, built, tasks

    def pairs(self, task: str, targets: Targets) -> np.ndarray:
        """Return the outputs of "rating" or "like" for the targets' items, float32 [n]."""
        self._require(task)
        outputs = []
        for block in _blocks(targets):
            arguments = block.users, self._histories(block), block.items[:, None], self._scenarios(block)
            outputs.append(self._predictor.score_candidates(*arguments)[PAIR_OUTPUTS[task]][:, 0])
        return np.concatenate(outputs)

    def interest_scores(self, targets: Targets) -> np.ndarray:
        """Return the probabilities of all labels after the targets' histories, float32 [n, labels]."""
        self._require("interests")
        return np.concatenate([self._interests(self._inputs(block)) for block in _blocks(targets)])

    def interests(self, request: RecommendRequest, *, with_texts: bool) -> pd.DataFrame:
        """Return the labels of every row of a request; see `Recommender.interests`."""
        self._require("interests")
        if with_texts and self._built.texts is None:
            raise InputError(
                "interests: this multi_task does not read texts; leave them out, or fit it with a backbone"
            )
        most_texts = max(map(len, request.texts), default=0)
        blocks = row_blocks(len(request.users), block_size(most_texts, most=_BLOCK, cells=_BLOCK))
        scores = np.concatenate([self._request_interests(rows_of(request, rows)) for rows in blocks])
        labels = self._built.labels
        best = np.argsort(-scores, axis=1, kind="stable")
        columns = {
            "row": np.repeat(np.arange(len(scores)), len(labels)),
            "user_id": np.repeat(np.asarray(request.users, dtype=object), len(labels)),
            "label": labels.ids(best.ravel() + 1),
            "score": np.take_along_axis(scores, best, axis=1).ravel(),
        }
        return pd.DataFrame(columns)

    def expert_use(self, targets: Targets, experts: Sequence[str]) -> pd.DataFrame:
        """Return the mean weights of the experts; see `MultiTask.expert_use`."""
        gates = np.concatenate([self._built.gate_function(self._inputs(block)) for block in _blocks(targets)])
        scenarios, names = self._scenarios(targets), self._predictor.fitted_data.scenarios
        if scenarios is None:
            scenarios = np.zeros(len(targets), np.int32)
        rows = [
            ("" if names is None else names.tokens[scenario], task, expert, float(shares[:, position, column].mean()))
            for scenario in np.unique(scenarios)
            for shares in [gates[scenarios == scenario]]
            for position, task in enumerate(self._tasks)
            for column, expert in enumerate(experts)
        ]
        return pd.DataFrame(rows, columns=["scenario", "task", "expert", "share"])

    def _request_interests(self, request: RecommendRequest) -> np.ndarray:
        """Return the probabilities of all labels for the rows of a request, float32 [B, labels]."""
        indices = self._predictor.indices
        scenarios = indices.scenarios("interests", request.scenarios)
        users, history = indices.histories(request.users, request.histories)
        inputs = {"user": users, "history": history.read.most_recent(self._built.history_length)}
        if scenarios is not None:
            inputs["scenario"] = scenarios
        return self._interests(inputs, request.texts)

    def _interests(self, inputs: dict[str, np.ndarray], texts: Sequence[Sequence[str]] = ()) -> np.ndarray:
        """Return the probabilities of all labels, float32 [B, labels]."""
        written = {} if self._built.texts is None else {"written": self._built.texts.encode(inputs["user"], texts)}
        return self._built.interest_function({**inputs, **written}).numpy()

    def _inputs(self, targets: Targets) -> dict[str, np.ndarray]:
        """Return the inputs of the scoring model."""
        scenarios = self._scenarios(targets)
        inputs = {"user": targets.users, "history": self._histories(targets)}
        return inputs if scenarios is None else {**inputs, "scenario": scenarios}

    def _histories(self, targets: Targets) -> np.ndarray:
        return targets.histories.most_recent(self._built.history_length)

    def _scenarios(self, targets: Targets) -> np.ndarray | None:
        """Return the scenarios of targets, int32 [n]; None for a model that does not read them."""
        if not self._built.reads_scenarios:
            return None
        if targets.scenarios is None:
            raise InputError("targets: scenarios are missing, which this multi_task reads; split data with scenarios")
        return targets.scenarios

    def _require(self, task: str) -> None:
        if task not in self._tasks:
            raise InputError(f"this multi_task has the tasks {', '.join(self._tasks)}; fit it with {task} as well")


def _blocks(targets: Targets) -> Iterator[Targets]:
    """Return the targets in blocks."""
    for rows in row_blocks(len(targets), _BLOCK):
        yield targets.take(np.arange(rows.start, rows.stop))
