"""User features: columns of the users table as tokens such as "gender=F"."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.text_columns import read_texts
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class UserFeatures:
    """Vocabulary of user features, and the stored features of the known users.

    Attributes:
        columns: feature columns of the users table.
        vocabulary: features, "column=value".
        stored: features of every user, int32 [users + 1, columns]; 0 for an unknown feature.
    """

    columns: tuple[str, ...]
    vocabulary: Vocabulary
    stored: np.ndarray

    @classmethod
    def from_dataset(cls, data: Dataset, columns: Sequence[str], *, min_users: int = 3) -> "UserFeatures":
        """Create the features of a data set's users.

        Args:
            data: a (training) data set; users that are missing from its users table have no features.
            columns: columns of the users table. An integer gives the same feature whether it is stored as 25 or
                25.0; text such as 01234 keeps its zeros.
            min_users: a value that fewer users with interactions share is unknown, because it identifies users rather
                than their taste.

        Raises:
            InputError: If there is no users table, a column is missing, or all values of a column are unknown.

        Example:
            >>> from tfllmrec.data import Dataset
            >>> users = pd.DataFrame({"user_id": ["u", "v"], "gender": ["F", "M"], "age": [25, 25]})
            >>> interactions = pd.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": [1, 2]})
            >>> data = Dataset.from_frames(interactions, users=users)
            >>> UserFeatures.from_dataset(data, ["gender", "age"], min_users=1).vocabulary.tokens[1:]
            array(['gender=F', 'gender=M', 'age=25'], dtype=object)
        """
        if data.users is None:
            raise InputError(
                f"users: features {', '.join(columns)} need a users table, which the data set does not have: add it "
                "or leave the features out"
            )
        table = data.users.set_index("user_id")
        missing = [column for column in columns if column not in table]
        if missing:
            available = ", ".join(map(str, table.columns)) or "none"
            raise InputError(f"users: there is no feature {', '.join(missing)}; the table has {available}")
        columns = tuple(dict.fromkeys(columns))
        users, has_interactions = data.user_vocabulary.tokens[1:], data.histories.lengths[1:] > 0
        by_column = [_features(table[column], column).reindex(users, fill_value="") for column in columns]
        tokens: list[str] = []
        for column, features in zip(columns, by_column, strict=True):
            counts = features[has_interactions & (features != "")].value_counts()
            frequent = counts.index[counts >= min_users]
            if frequent.empty:
                raise InputError(f"users: no value of {column} is shared by {min_users} users: leave it out")
            tokens += sorted(frequent)
        vocabulary = Vocabulary(tokens)
        stored = np.stack([vocabulary.lookup(features) for features in by_column], axis=1)
        return cls(columns, vocabulary, np.pad(stored, [(1, 0), (0, 0)]))

    def lookup(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        """Look up the features of unknown users, any number per row.

        Unknown features and "" are ignored; of more features than columns the last ones are used.

        Returns:
            int32 [rows, columns], zeros on the right.
        """
        width = len(self.columns)
        indices = np.zeros((len(rows), width), np.int32)
        for position, row in enumerate(rows):
            known = self.vocabulary.lookup(row)
            known = known[known > 0][-width:]
            indices[position, : len(known)] = known
        return indices


def _features(values: pd.Series, column: str) -> pd.Series:
    """Return "column=value" for every value, and "" for missing ones."""
    texts = read_texts(values, f"users: column {column}").str.strip()
    return (f"{column}=" + texts).mask(texts == "", "")
