"""What is told of users beside what they did: columns of the user table as features such as "gender=F"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class UserFeatures:
    """The features that a model knows, and those of the users that it knows.

    Attributes:
        columns: of the user table.
        vocabulary: features, "column=value".
        stored: of every user, int32 [users + 1, columns]; 0 where nothing is known.
    """

    columns: tuple[str, ...]
    vocabulary: Vocabulary
    stored: np.ndarray

    @classmethod
    def from_dataset(cls, data: Dataset, columns: Sequence[str], *, min_users: int = 3) -> "UserFeatures":
        """The features of a data set's users.

        Args:
            data: a (training) data set; users that its user table lacks have no features.
            columns: of the user table. A whole number reads the same whether it was stored as 25 or 25.0.
            min_users: what fewer users with an interaction have in common tells who they are rather than what they
                like, and is unknown.

        Raises:
            InputError: there is no user table, it lacks a column, or all of a column is unknown.

        Example:
            >>> UserFeatures.from_dataset(data, ["gender", "age"]).vocabulary.tokens[1:3]
            array(['gender=F', 'gender=M'], dtype=object)
        """
        if data.users is None:
            raise InputError(f"users: features {', '.join(columns)} are asked for, and the data set has no user table")
        table = data.users.set_index("user_id")
        unknown = [column for column in columns if column not in table]
        if unknown:
            there = ", ".join(map(str, table.columns)) or "none"
            raise InputError(f"users: {', '.join(unknown)} is no feature; the table has {there}")
        columns = tuple(dict.fromkeys(columns))
        users, trained = data.user_vocabulary.tokens[1:], data.histories.lengths[1:] > 0
        of_users = [_features(table[column], column).reindex(users, fill_value="") for column in columns]
        names: list[str] = []
        for column, features in zip(columns, of_users, strict=True):
            counts = features[trained & (features != "")].value_counts()
            frequent = counts.index[counts >= min_users]
            if frequent.empty:
                raise InputError(f"users: no value of {column} is shared by {min_users} users: leave it out")
            names += sorted(frequent)
        vocabulary = Vocabulary(names)
        stored = np.stack([vocabulary.lookup(features) for features in of_users], axis=1)
        return cls(columns, vocabulary, np.pad(stored, [(1, 0), (0, 0)]))

    def lookup(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        """Features of users who are not known, any number a row: int32 [rows, columns], zeros on the right.

        Unknown features and "" are nothing; of more than there are columns the last ones count.
        """
        width = len(self.columns)
        found = np.zeros((len(rows), width), np.int32)
        for place, row in enumerate(rows):
            known = self.vocabulary.lookup(row)
            known = known[known > 0][-width:]
            found[place, : len(known)] = known
        return found


def _features(values: pd.Series, column: str) -> pd.Series:
    """Every value as "column=value", and "" where there is none."""
    texts = values.astype(object).where(values.notna(), "").map(_text)
    return (f"{column}=" + texts).where(texts != "", "")


def _text(value: Any) -> str:
    # One number that is missing or broken makes floats of a whole column.
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
