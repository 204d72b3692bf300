"""Fitted data: ids, titles, stored histories and counts of the training data."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.id_order import IdOrder
from tfllmrec.data.splits import Targets
from tfllmrec.data.user_features import UserFeatures
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.models.base.saving import reading

_FEATURES, _SCENARIOS = "user_features.json", "scenarios.json"


@dataclass(frozen=True)
class FittedData:
    """Ids, titles and histories that map requests of strings to indices and results back.

    Attributes:
        items: the items that can be recommended.
        titles: title by item index, [items + 1] objects; "" for 0.
        counts: interactions by item index in the training part, int64 [items + 1].
        users: the users with a stored history or an embedding.
        histories: stored histories by user index, [users + 1] rows; row 0 is empty.
        features: user features, or None if the model does not read any.
        scenarios: names of scenarios, or None if the model does not read any.
    """

    items: Vocabulary
    titles: np.ndarray
    counts: np.ndarray
    users: Vocabulary
    histories: Histories
    features: UserFeatures | None = None
    scenarios: Vocabulary | None = None

    @classmethod
    def from_dataset(
        cls, data: Dataset, user_columns: Sequence[str] = (), *, with_scenarios: bool = False
    ) -> "FittedData":
        """Collect the fitted data of a data set.

        Args:
            data: the training data.
            user_columns: columns of the user table that are read as features.
            with_scenarios: whether the model reads scenarios where the data has them.

        Raises:
            InputError: If a column is missing.
        """
        features = UserFeatures.from_dataset(data, user_columns) if user_columns else None
        titles = np.concatenate([[""], data.items["title"].to_numpy(dtype=object)])
        scenarios = data.scenarios.names if with_scenarios and data.scenarios is not None else None
        return cls(
            items=data.item_vocabulary,
            titles=titles,
            counts=data.item_counts,
            users=data.user_vocabulary,
            histories=data.histories,
            features=features,
            scenarios=scenarios,
        )

    @property
    def id_order(self) -> IdOrder:
        """The order of the ids."""
        return IdOrder(self.items, self.users, self.scenarios)

    def has_ids_of(self, data: Dataset) -> bool:
        """Return whether a data set has these items and users, in the same order."""
        return self.items == data.item_vocabulary and self.users == data.user_vocabulary

    def known_targets(self, call: str, targets: Targets) -> Targets:
        """Check that the indices of targets mean the ids of this data; users that it does not have become unknown.

        Args:
            call: name of the call, for messages.
            targets: targets; those without an `id_order` are returned as they are.

        Raises:
            InputError: See `IdOrder.require_prefix`.
        """
        if targets.id_order is None or targets.id_order == self.id_order:
            return targets
        self.id_order.require_prefix(call, targets.id_order)
        return replace(targets, users=np.where(targets.users > len(self.users), 0, targets.users))

    def segment_counts(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Count the interactions of users with the same value of a feature column.

        Returns:
            Feature indices of the segments, int32 [segments]; interactions by segment and item, int64
            [segments + 1, items + 1], with those of all users in row 0.
        """
        assert self.features is not None, "segments require user features"
        user_values = self.features.stored[:, self.features.columns.index(column)]
        features, segments = np.unique(user_values, return_inverse=True)  # 0 comes first: it is the unknown user's
        items, size = self.histories.values, len(self.items) + 1  # noqa: PD011
        cells = np.repeat(segments * size, self.histories.lengths) + items
        counts = np.bincount(cells, minlength=len(features) * size).reshape(-1, size)
        counts[0] = self.counts
        return features[1:], counts

    def with_items(self, new: pd.DataFrame) -> "FittedData":
        """Append new items (item_id, title), which have no interactions."""
        items = Vocabulary([*self.items.tokens[1:], *new["item_id"]])
        titles = np.concatenate([self.titles, new["title"].to_numpy(dtype=object)])
        return replace(self, items=items, titles=titles, counts=np.pad(self.counts, (0, len(new))))

    def save(self, folder: Path) -> None:
        """Write `items.parquet`, `users.parquet`, and the features and scenarios that the model reads."""
        items = {"item_id": self.items.tokens, "title": self.titles, "count": self.counts}
        pd.DataFrame(items).iloc[1:].to_parquet(folder / "items.parquet", index=False)
        rows = pa.LargeListArray.from_arrays(self.histories.offsets[1:], self.histories.values)
        users = {"user_id": pa.array(self.users.tokens[1:], pa.string()), "history": rows}
        if self.features is not None:
            content = {"columns": self.features.columns, "features": self.features.vocabulary.tokens[1:].tolist()}
            (folder / _FEATURES).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
            users["features"] = pa.array(self.features.stored[1:].tolist(), pa.list_(pa.int32()))
        if self.scenarios is not None:
            names = json.dumps(self.scenarios.tokens[1:].tolist(), ensure_ascii=False)
            (folder / _SCENARIOS).write_text(names + "\n", encoding="utf-8")
        pq.write_table(pa.table(users), folder / "users.parquet")

    @classmethod
    def load(cls, folder: Path) -> "FittedData":
        """Read what `save` wrote.

        Raises:
            InputError: If a file is missing or damaged.
        """
        with reading(folder / "items.parquet") as path:
            table = pd.read_parquet(path)
            items = Vocabulary(table["item_id"])
            titles = np.concatenate([[""], table["title"].to_numpy(dtype=object)])
            counts = np.concatenate([[0], table["count"].to_numpy()])
        with reading(folder / "users.parquet") as path:
            columns = pq.read_table(path).combine_chunks()
            users = Vocabulary(columns["user_id"].to_pylist())
            rows = columns["history"].combine_chunks()
            lengths = np.concatenate([[0], np.diff(rows.offsets.to_numpy())])
            histories = Histories.from_lengths(rows.flatten().to_numpy(), lengths)
            stored = columns["features"].to_pylist() if "features" in columns.column_names else None
        features = None
        if stored is not None:
            with reading(folder / _FEATURES) as path:
                content = json.loads(path.read_text(encoding="utf-8"))
                names, vocabulary = tuple(content["columns"]), Vocabulary(content["features"])
                features = UserFeatures(names, vocabulary, np.array([[0] * len(names), *stored], np.int32))
        scenarios = None
        if (folder / _SCENARIOS).exists():
            with reading(folder / _SCENARIOS) as path:
                scenarios = Vocabulary(json.loads(path.read_text(encoding="utf-8")))
        return cls(items, titles, counts, users, histories, features, scenarios)
