"""What is told of users beside what they did: columns of the user table as features such as "gender=F"."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    def of(cls, data: Dataset, columns: Sequence[str], *, min_users: int = 3) -> "UserFeatures":
        """The features of a data set's users.

        Args:
            data: a data set; users that its user table lacks have no features.
            columns: of the user table. A whole number reads the same whether it was stored as 25 or 25.0.
            min_users: what fewer users have in common tells who they are rather than what they like, and is unknown.

        Raises:
            InputError: there is no user table, or it lacks a column.

        Example:
            >>> UserFeatures.of(data, ["gender", "age"]).vocabulary.tokens[1:3]
            array(['gender=F', 'gender=M'], dtype=object)
        """
        if data.users is None:
            raise InputError(f"users: features {', '.join(columns)} are asked for, and the data set has no user table")
        missing = [column for column in columns if column not in data.users]
        if missing:
            there = ", ".join(map(str, data.users.columns))
            raise InputError(f"users: column {', '.join(missing)} is missing; the table has {there}")
        rows = data.users.set_index("user_id").reindex(data.user_vocabulary.tokens[1:])
        named = [_features(rows[column], column) for column in columns]
        counts = pd.concat(named).value_counts() if named else pd.Series(dtype=int)
        frequent = counts.index[(counts >= min_users).to_numpy()]
        vocabulary = Vocabulary(sorted(name for name in frequent if name))
        stored = np.zeros((len(rows) + 1, len(columns)), np.int32)
        for place, names in enumerate(named):
            stored[1:, place] = vocabulary.lookup(names)
        return cls(tuple(columns), vocabulary, stored)

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
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # one that is missing makes floats of whole numbers
    texts = values.astype(object).where(values.notna(), "").map(str).str.strip()
    return (f"{column}=" + texts).where(texts != "", "")
