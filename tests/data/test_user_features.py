"""User features: tokens of values, rare values, look-ups, invalid columns."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec.data import Dataset
from tfllmrec.data.user_features import UserFeatures
from tfllmrec.errors import InputError

USERS = [f"u{number}" for number in range(8)]


def data_of(users: pd.DataFrame | None, active: Sequence[str] = USERS) -> Dataset:
    """Create a data set with this users table and one interaction of each active user."""
    rows = [(user, "a", 0) for user in active]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), users=users)


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"user_id": USERS, **columns})


def tokens_of(features: UserFeatures) -> list[str]:
    return features.vocabulary.tokens[1:].tolist()


def stored_tokens(features: UserFeatures) -> list[list[str]]:
    """Return the stored features of all users by index, the unknown user first."""
    return features.vocabulary.ids(features.stored).tolist()


GENDERS, AGES = list("FMFMFMFF"), [25, 25, 18, 18, 25, 25, 18, 25]


def test_tokens_are_ordered_by_column() -> None:
    features = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES, city="北京")), ["gender", "age"])
    assert features.columns == ("gender", "age")
    assert tokens_of(features) == ["gender=F", "gender=M", "age=18", "age=25"]
    expected = [[f"gender={gender}", f"age={age}"] for gender, age in zip(GENDERS, AGES, strict=True)]
    assert stored_tokens(features) == [["", ""], *expected]
    assert features.stored.dtype == np.int32
    again = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES)), ["age", "gender", "age"])
    assert again.columns == ("age", "gender")
    assert stored_tokens(again) == [row[::-1] for row in stored_tokens(features)]


MANY = 4
"""Users with the value of interest in the columns below; the other half has no value or another one."""


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["女"] * MANY + [None] * MANY, "x=女"),
        ([" F "] * MANY + ["", "  ", None, np.nan], "x=F"),
        ([25] * MANY + [30] * 2 + [7, 8], "x=25"),
        ([25.0] * MANY + [np.nan] * MANY, "x=25"),
        ([25.0] * MANY + [25.5, 1e15, -1e15, np.nan], "x=25"),
        ([25, 25.0, "25", "25 "] + [None] * MANY, "x=25"),
        ([-3.0, -3] * 2 + [None] * MANY, "x=-3"),
        ([0.5] * MANY + [1.0, 2.0, np.nan, np.nan], "x=0.5"),
        ([True] * MANY + [None] * MANY, "x=True"),
        ([False] * MANY + [True, True, False, False], "x=False"),
        (pd.array([25] * MANY + [None] * MANY, "Int64"), "x=25"),
        (pd.array([25.0] * MANY + [None] * MANY, "Float64"), "x=25"),
        (np.array([25.0] * MANY + [np.nan] * MANY, np.float32), "x=25"),
        (pd.array([True] * MANY + [None] * MANY, "boolean"), "x=True"),
        (pd.array(["女"] * MANY + [None] * MANY, "string"), "x=女"),
        (pd.Categorical(["女"] * MANY + [None] * MANY, ["男", "女"]), "x=女"),
        (pd.Categorical([25.0] * MANY + [np.nan] * MANY), "x=25"),
        ([2**53 + 1] * MANY + [1] * 2 + [2, 3], f"x={2**53 + 1}"),
        ([Decimal("0.5")] * MANY + [None] * MANY, "x=0.5"),
        (["a=b|c,d"] * MANY + [None] * MANY, "x=a=b|c,d"),
    ],
)  # fmt: skip
def test_value_gives_the_same_token_for_every_type(values: Any, name: str) -> None:
    features = UserFeatures.from_dataset(data_of(table(x=values)), ["x"])
    assert tokens_of(features) == [name]
    assert stored_tokens(features)[1 : MANY + 1] == [[name]] * MANY
    # A missing user does not turn integers into floats.
    without_last = UserFeatures.from_dataset(data_of(table(x=values)[:-1]), ["x"])
    assert tokens_of(without_last) == [name]


def test_values_of_few_users_are_unknown() -> None:
    data = data_of(table(city=["A", "A", "A", "B", "B", "C", "", None]))
    assert tokens_of(UserFeatures.from_dataset(data, ["city"])) == ["city=A"]
    assert stored_tokens(UserFeatures.from_dataset(data, ["city"]))[4:] == [[""]] * 5
    assert tokens_of(UserFeatures.from_dataset(data, ["city"], min_users=2)) == ["city=A", "city=B"]
    assert tokens_of(UserFeatures.from_dataset(data, ["city"], min_users=1)) == ["city=A", "city=B", "city=C"]
    with pytest.raises(InputError, match=r"^users: no value of city is shared by 4 users: leave it out$"):
        UserFeatures.from_dataset(data, ["city"], min_users=4)


def test_only_users_with_an_interaction_count() -> None:
    """Users without interactions, or removed from training, do not count."""
    users = pd.concat([table(city=list("AAAABBBB")), pd.DataFrame({"user_id": ["x", "y", "z"], "city": "B"})])
    data = data_of(users)
    assert tokens_of(UserFeatures.from_dataset(data, ["city"])) == ["city=A", "city=B"]
    train = data.keep(~data.interactions["user_id"].isin(["u6", "u7"]).to_numpy())
    features = UserFeatures.from_dataset(train, ["city"])
    assert tokens_of(features) == ["city=A"]
    assert stored_tokens(features) == [[""], *[["city=A"]] * 4, *[[""]] * 4]
    train = data.keep(~data.interactions["user_id"].isin(["u0", "u7"]).to_numpy())
    # The feature is stored for a user without training interactions too.
    assert stored_tokens(UserFeatures.from_dataset(train, ["city"]))[1] == ["city=A"]


def test_users_table_in_another_order_and_with_missing_users() -> None:
    users = table(age=[1, 2] * 4)[::-1]
    features = UserFeatures.from_dataset(data_of(users[users["user_id"] != "u3"], [*USERS, "w"]), ["age"])
    assert stored_tokens(features) == [[""], ["age=1"], ["age=2"], ["age=1"], [""], *[["age=1"], ["age=2"]] * 2, [""]]


def test_invalid_columns_are_refused() -> None:
    data = data_of(table(gender=GENDERS, empty=None))
    for columns, sentence in (
        (["shoe", "gender", "hat"], "users: there is no feature shoe, hat; the table has gender, empty"),
        (["user_id"], "users: there is no feature user_id; the table has gender, empty"),
        (["gender", "empty"], "users: no value of empty is shared by 3 users: leave it out"),
    ):
        with pytest.raises(InputError) as error:
            UserFeatures.from_dataset(data, columns)
        assert str(error.value) == sentence
    with pytest.raises(InputError, match=r"^users: there is no feature shoe; the table has none$"):
        UserFeatures.from_dataset(data_of(table()), ["shoe"])
    with pytest.raises(
        InputError, match=r"^users: features gender, age need a users table, which the data set does not have: add"
    ):
        UserFeatures.from_dataset(replace(data, users=None), ["gender", "age"])


def test_lookup_of_unknown_users() -> None:
    features = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES)), ["gender", "age"])
    female, male, age_18, age_25 = 1, 2, 3, 4
    rows = {
        ("gender=F", "age=25"): [female, age_25],
        ("age=25", "gender=F"): [age_25, female],
        ("gender=M",): [male, 0],
        (): [0, 0],
        ("", "gender=X", "age=25"): [age_25, 0],
        ("age=25", "", ""): [age_25, 0],
        ("gender", "F", "gender = F", "=F", "Gender=F"): [0, 0],
        ("gender=F", "age=18", "unknown", "gender=M", "", "age=25", "age=26"): [male, age_25],
        ("gender=F", "gender=M"): [female, male],
        ("age=18",): [age_18, 0],
    }
    indices = features.lookup([list(row) for row in rows])
    assert indices.tolist() == list(rows.values())
    assert indices.dtype == np.int32
    assert features.lookup([]).shape == (0, 2)
    np.testing.assert_array_equal(features.lookup([np.array(["age=25"], object), ("gender=F",)]), [[4, 0], [1, 0]])


def test_features_are_the_same_from_a_folder(tmp_path: Any) -> None:
    data = data_of(table(gender=GENDERS, age=[*AGES[:-1], None], 城市=["北京"] * 4 + [None] * 4))
    columns = ["城市", "gender", "age"]
    data.to_folder(tmp_path / "parquet")
    (tmp_path / "csv").mkdir()
    for name in ("interactions", "users"):
        getattr(data, name).to_csv(tmp_path / "csv" / f"{name}.csv", index=False)
    expected = UserFeatures.from_dataset(data, columns)
    assert tokens_of(expected) == ["城市=北京", "gender=F", "gender=M", "age=18", "age=25"]
    for kind in ("parquet", "csv"):
        loaded = UserFeatures.from_dataset(Dataset.from_folder(tmp_path / kind), columns)
        assert loaded.vocabulary == expected.vocabulary
        np.testing.assert_array_equal(loaded.stored, expected.stored)
