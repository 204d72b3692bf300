"""What the joint family answers beside recommendations: ratings, and what users are interested in."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.questions import questions
from tfllmrec.recommenders.content import ContentRecommender

_BLOCK = 1024


class MultiTaskAnswers(ContentRecommender):
    """The half of a `MultiTask` that asks what its tasks have learnt.

    Attributes:
        labels: what interests are told in.
        others: see `MultiTask`.
    """

    labels: Vocabulary
    others: dict[str, keras.Model]
    _other: dict[str, Callable[..., Any]]
    _gates: Callable[..., Any]

    @property
    @abstractmethod
    def experts(self) -> list[str]:
        """The experts by name."""

    def expected_ratings(self, targets: Targets) -> np.ndarray:
        """What users will rate the targets' items, float32 [n].

        Raises:
            InputError: ratings are none of the tasks.
        """
        self._require("rating")
        blocks = [
            self._other["candidates"]({**asked, "candidates": items})["ratings"][:, 0]
            for asked, items in self._blocks(targets)
        ]
        return np.concatenate(blocks)

    def interest_scores(self, targets: Targets) -> np.ndarray:
        """The chances of all labels among what comes after the targets' histories, float32 [n, labels].

        Raises:
            InputError: interests are none of the tasks.
        """
        self._require("interests")
        return np.concatenate([self._other["interests"](asked) for asked, _ in self._blocks(targets)])

    def interests(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """What users are interested in, by label; see `recommend` for who can be asked about, and how.

        Returns:
            Columns row, user_id, label, score; the strongest first. A score is the chance that one of the next items
            has the label.

        Raises:
            InputError: as `recommend`, or interests are none of the tasks.
        """
        self._require("interests")
        asked = questions(users, histories, None, scenarios=scenarios, call="interests")
        where = self._known_scenarios("interests", scenarios, asked.scenarios)
        found, given, stored = self._histories(asked)
        read = Histories.where(given.lengths > 0, given, stored).newest(self.history_length)
        inputs = {"user": found, "history": read, **({} if where is None else {"scenario": where})}
        scores = self._other["interests"](inputs).numpy()
        best = np.argsort(-scores, axis=1, kind="stable")
        table = {
            "row": np.repeat(np.arange(len(scores)), len(self.labels)),
            "user_id": np.repeat(np.asarray(asked.users, dtype=object), len(self.labels)),
            "label": self.labels.ids(best.ravel() + 1),
            "score": np.take_along_axis(scores, best, axis=1).ravel(),
        }
        return pd.DataFrame(table)

    def expert_use(self, targets: Targets) -> pd.DataFrame:
        """How much every task listens to every expert, on average over targets.

        Returns:
            Columns scenario ("" where the model reads none), task, expert, share; the shares of a scenario and task sum
            to 1.
        """
        self.require_fitted()
        gates = np.concatenate([self._gates(asked) for asked, _ in self._blocks(targets)])
        where = np.zeros(len(targets), np.int32)
        if self.reads_scenarios and targets.scenarios is not None:
            where = targets.scenarios
        names = [""] if self.catalogue.scenarios is None else self.catalogue.scenarios.tokens
        rows = [
            (names[scenario], task, expert, float(gates[where == scenario, place, column].mean()))
            for scenario in np.unique(where)
            for place, task in enumerate(self.config.tasks)
            for column, expert in enumerate(self.experts)
        ]
        return pd.DataFrame(rows, columns=["scenario", "task", "expert", "share"])

    def _require(self, task: str) -> None:
        self.require_fitted()
        if task not in self.config.tasks:
            raise InputError(f"this multi_task learnt {', '.join(self.config.tasks)}; {task} is none of them")

    def _blocks(self, targets: Targets) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """What the models are asked of targets, some at a time, and their items int32 [B, 1]."""
        for start in range(0, len(targets), _BLOCK):
            block = targets.take(np.arange(start, min(start + _BLOCK, len(targets))))
            asked = {"user": block.users, "history": block.histories.newest(self.history_length)}
            if self.reads_scenarios and block.scenarios is not None:
                asked["scenario"] = block.scenarios
            yield asked, block.items[:, None]
