"""What the joint family answers beside recommendations: ratings, and what users are interested in."""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.models.base.content import ContentRecommender
from tfllmrec.models.base.saving import reading
from tfllmrec.models.multi_task.user_texts import UserTexts
from tfllmrec_client.requests import recommend_request

_BLOCK = 1024
_LABELS = "labels.json"


class MultiTaskAnswers(ContentRecommender):
    """The half of a `MultiTask` that asks what its tasks have learnt.

    Attributes:
        labels: what interests are told in.
        texts: what users wrote, where that is read.
        others: see `MultiTask`.
    """

    labels: Vocabulary
    texts: UserTexts | None = None
    others: dict[str, keras.Model]
    _other: dict[str, Callable[..., Any]]
    _gates: Callable[..., Any]

    @property
    @abstractmethod
    def experts(self) -> list[str]:
        """The experts by name."""

    @property
    def served_models(self) -> list[keras.Model]:
        """What signatures ask beside the scoring model."""
        return [*self.others.values(), *([] if self.texts is None else [self.texts.bert.backbone])]

    @property
    def _text_width(self) -> int:
        return 0 if self.texts is None else self.texts.width

    def predict_ratings(self, targets: Targets) -> np.ndarray:
        """What users will rate the targets' items, float32 [n].

        Raises:
            InputError: ratings are none of the tasks.
        """
        self._require("rating")
        return self._of_items(targets, "ratings")

    def like_chances(self, targets: Targets) -> np.ndarray:
        """The chance that users will like the targets' items, float32 [n].

        Raises:
            InputError: likes are none of the tasks.
        """
        self._require("like")
        return self._of_items(targets, "likes")

    def interest_scores(self, targets: Targets) -> np.ndarray:
        """The chances of all labels among what comes after the targets' histories, float32 [n, labels].

        Raises:
            InputError: interests are none of the tasks.
        """
        self._require("interests")
        found = []
        for asked, _ in self._blocks(targets):
            written = {} if self.texts is None else {"written": self.texts.of(asked["user"])}
            found.append(self._other["interests"]({**asked, **written}))
        return np.concatenate(found)

    def interests(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
        texts: Sequence[Sequence[str]] | None = None,
    ) -> pd.DataFrame:
        """What users are interested in, by label; see `recommend` for who can be asked about, and how.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            scenarios: one name a row, for models that read it.
            texts: what users wrote or search for, instead of what is stored, one sequence a row; for models with a
                `backbone`.

        Returns:
            Columns row, user_id, label, score; the strongest first. A score is the chance that one of the next items
            has the label.

        Raises:
            InputError: as `recommend`, or interests are none of the tasks, or texts are not read.
        """
        self._require("interests")
        if texts is not None and self.texts is None:
            raise InputError("interests: this multi_task reads no texts; leave them out, or train it with a backbone")
        asked = recommend_request(users, histories, None, scenarios=scenarios, texts=texts, call="interests")
        where = self._known_scenarios("interests", scenarios, asked.scenarios)
        found, given, stored = self._histories(asked)
        read = Histories.where(given.lengths > 0, given, stored).most_recent(self.history_length)
        inputs = {"user": found, "history": read, **({} if where is None else {"scenario": where})}
        if self.texts is not None:
            inputs["written"] = self.texts.of(found, asked.texts)
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
        names = [""] if self.fitted_data.scenarios is None else self.fitted_data.scenarios.tokens
        rows = [
            (names[scenario], task, expert, float(gates[where == scenario, place, column].mean()))
            for scenario in np.unique(where)
            for place, task in enumerate(self.config.tasks)
            for column, expert in enumerate(self.experts)
        ]
        return pd.DataFrame(rows, columns=["scenario", "task", "expert", "share"])

    def _of_items(self, targets: Targets, told: str) -> np.ndarray:
        """What is told of the targets' own items."""
        asked = ({**inputs, "candidates": items} for inputs, items in self._blocks(targets))
        return np.concatenate([self._other["candidates"](inputs)[told][:, 0] for inputs in asked])

    def _require(self, task: str) -> None:
        self.require_fitted()
        if task not in self.config.tasks:
            raise InputError(f"this multi_task learnt {', '.join(self.config.tasks)}; {task} is none of them")

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        text = json.dumps(self.labels.tokens[1:].tolist(), ensure_ascii=False)
        (folder / _LABELS).write_text(text + "\n", encoding="utf-8")
        if self.texts is not None:
            self.texts.save(folder)

    def _read(self, folder: Path) -> None:
        super()._read(folder)
        with reading(folder / _LABELS) as path:
            self.labels = Vocabulary(json.loads(path.read_text(encoding="utf-8")))
        if self.config.backbone:
            self.texts = UserTexts.load(folder, self.config.text_length)

    def _blocks(self, targets: Targets) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """What the models are asked of targets, some at a time, and their items int32 [B, 1]."""
        for start in range(0, len(targets), _BLOCK):
            block = targets.take(np.arange(start, min(start + _BLOCK, len(targets))))
            asked = {"user": block.users, "history": block.histories.most_recent(self.history_length)}
            if self.reads_scenarios and block.scenarios is not None:
                asked["scenario"] = block.scenarios
            yield asked, block.items[:, None]
