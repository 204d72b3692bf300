"""What every recommender remembers of its training data: ids, titles, stored histories, counts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.recommenders.saved import reading


@dataclass(frozen=True)
class Catalogue:
    """Ids, titles and histories, so that a model of indices can be asked in strings.

    Attributes:
        items: the items that can be recommended.
        titles: title by item index, [items + 1] objects; "" for 0.
        counts: interactions by item index in the training part, int64 [items + 1].
        users: the users with a stored history or an embedding.
        histories: stored histories by user index, [users + 1] rows; row 0 is empty.
    """

    items: Vocabulary
    titles: np.ndarray
    counts: np.ndarray
    users: Vocabulary
    histories: Histories

    @classmethod
    def from_dataset(cls, data: Dataset) -> "Catalogue":
        """The catalogue of a (training) data set."""
        titles = np.concatenate([[""], data.items["title"].to_numpy(dtype=object)])
        return cls(data.item_vocabulary, titles, data.item_counts, data.user_vocabulary, data.histories)

    def save(self, folder: Path) -> None:
        """Write `items.parquet` and `users.parquet`."""
        items = {"item_id": self.items.tokens, "title": self.titles, "count": self.counts}
        pd.DataFrame(items).iloc[1:].to_parquet(folder / "items.parquet", index=False)
        rows = pa.LargeListArray.from_arrays(self.histories.offsets[1:], self.histories.values)
        users = pa.array(self.users.tokens[1:], pa.string())
        pq.write_table(pa.table({"user_id": users, "history": rows}), folder / "users.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Catalogue":
        """Read what `save` wrote.

        Raises:
            InputError: a file is missing or damaged.
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
        return cls(items, titles, counts, users, histories)
