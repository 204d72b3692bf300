"""Columns of a user table as features: known answers, and what is no feature."""

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


def data_of(users: pd.DataFrame | None, had: Sequence[str] = USERS) -> Dataset:
    """A data set in which these users have one item each."""
    rows = [(user, "a", 0) for user in had]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), users=users)


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"user_id": USERS, **columns})


def known(features: UserFeatures) -> list[str]:
    return features.vocabulary.tokens[1:].tolist()


def told(features: UserFeatures) -> list[list[str]]:
    """What is stored of the users by their indices, from the unknown one on."""
    return features.vocabulary.ids(features.stored).tolist()


GENDERS, AGES = list("FMFMFMFF"), [25, 25, 18, 18, 25, 25, 18, 25]


def test_values_become_features_column_by_column() -> None:
    features = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES, city="北京")), ["gender", "age"])
    assert features.columns == ("gender", "age")
    assert known(features) == ["gender=F", "gender=M", "age=18", "age=25"]
    expected = [[f"gender={gender}", f"age={age}"] for gender, age in zip(GENDERS, AGES, strict=True)]
    assert told(features) == [["", ""], *expected]
    assert features.stored.dtype == np.int32
    again = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES)), ["age", "gender", "age"])
    assert again.columns == ("age", "gender")
    assert told(again) == [row[::-1] for row in told(features)]


MANY = 4
"""So often stands a value in what follows; the other half of the column has none, or another."""


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["女"] * MANY + [None] * MANY, "x=女"),
        ([" F "] * MANY + ["", "  ", None, np.nan], "x=F"),
        ([25] * MANY + [30] * 2 + [7, 8], "x=25"),
        ([25.0] * MANY + [np.nan] * MANY, "x=25"),
        ([25.0] * MANY + [25.5, np.inf, -np.inf, np.nan], "x=25"),
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
def test_one_value_one_name_whatever_it_is_stored_as(values: Any, name: str) -> None:
    features = UserFeatures.from_dataset(data_of(table(x=values)), ["x"])
    assert known(features) == [name]
    assert told(features)[1 : MANY + 1] == [[name]] * MANY
    without_the_last = UserFeatures.from_dataset(
        data_of(table(x=values)[:-1]), ["x"]
    )  # a missing user makes no floats either
    assert known(without_the_last) == [name]


def test_what_few_users_share_is_unknown() -> None:
    data = data_of(table(city=["A", "A", "A", "B", "B", "C", "", None]))
    assert known(UserFeatures.from_dataset(data, ["city"])) == ["city=A"]
    assert told(UserFeatures.from_dataset(data, ["city"]))[4:] == [[""]] * 5
    assert known(UserFeatures.from_dataset(data, ["city"], min_users=2)) == ["city=A", "city=B"]
    assert known(UserFeatures.from_dataset(data, ["city"], min_users=1)) == ["city=A", "city=B", "city=C"]
    with pytest.raises(InputError, match=r"^users: no value of city is shared by 4 users: leave it out$"):
        UserFeatures.from_dataset(data, ["city"], min_users=4)


def test_only_users_with_an_interaction_count() -> None:
    """Of others nothing is learnt: not of those taken out of training, and not of those who never came."""
    users = pd.concat([table(city=list("AAAABBBB")), pd.DataFrame({"user_id": ["x", "y", "z"], "city": "B"})])
    data = data_of(users)
    assert known(UserFeatures.from_dataset(data, ["city"])) == ["city=A", "city=B"]
    train = data.keep(~data.interactions["user_id"].isin(["u6", "u7"]).to_numpy())
    features = UserFeatures.from_dataset(train, ["city"])
    assert known(features) == ["city=A"]
    assert told(features) == [[""], *[["city=A"]] * 4, *[[""]] * 4]
    train = data.keep(~data.interactions["user_id"].isin(["u0", "u7"]).to_numpy())
    assert told(UserFeatures.from_dataset(train, ["city"]))[1] == ["city=A"]  # which can be said of who comes later


def test_users_in_another_order_and_users_that_the_table_lacks() -> None:
    users = table(age=[1, 2] * 4)[::-1]
    features = UserFeatures.from_dataset(data_of(users[users["user_id"] != "u3"], [*USERS, "w"]), ["age"])
    assert told(features) == [[""], ["age=1"], ["age=2"], ["age=1"], [""], *[["age=1"], ["age=2"]] * 2, [""]]


def test_what_is_no_feature() -> None:
    data = data_of(table(gender=GENDERS, empty=None))
    for columns, sentence in (
        (["shoe", "gender", "hat"], "users: shoe, hat is no feature; the table has gender, empty"),
        (["user_id"], "users: user_id is no feature; the table has gender, empty"),
        (["gender", "empty"], "users: no value of empty is shared by 3 users: leave it out"),
    ):
        with pytest.raises(InputError) as error:
            UserFeatures.from_dataset(data, columns)
        assert str(error.value) == sentence
    with pytest.raises(InputError, match=r"shoe is no feature; the table has none$"):
        UserFeatures.from_dataset(data_of(table()), ["shoe"])
    with pytest.raises(InputError, match=r"^users: features gender, age are asked for, and the data set has no user"):
        UserFeatures.from_dataset(replace(data, users=None), ["gender", "age"])


def test_features_of_who_is_not_known() -> None:
    features = UserFeatures.from_dataset(data_of(table(gender=GENDERS, age=AGES)), ["gender", "age"])
    female, male, eighteen, grown = 1, 2, 3, 4
    rows = {
        ("gender=F", "age=25"): [female, grown],
        ("age=25", "gender=F"): [grown, female],
        ("gender=M",): [male, 0],
        (): [0, 0],
        ("", "gender=X", "age=25"): [grown, 0],
        ("age=25", "", ""): [grown, 0],
        ("gender", "F", "gender = F", "=F", "Gender=F"): [0, 0],
        ("gender=F", "age=18", "unheard of", "gender=M", "", "age=25", "age=26"): [male, grown],
        ("gender=F", "gender=M"): [female, male],
        ("age=18",): [eighteen, 0],
    }
    found = features.lookup([list(row) for row in rows])
    assert found.tolist() == list(rows.values())
    assert found.dtype == np.int32
    assert features.lookup([]).shape == (0, 2)
    np.testing.assert_array_equal(features.lookup([np.array(["age=25"], object), ("gender=F",)]), [[4, 0], [1, 0]])


def test_the_same_from_a_folder(tmp_path: Any) -> None:
    data = data_of(table(gender=GENDERS, age=[*AGES[:-1], None], 城市=["北京"] * 4 + [None] * 4))
    columns = ["城市", "gender", "age"]
    data.to_folder(tmp_path / "parquet")
    (tmp_path / "csv").mkdir()
    for name in ("interactions", "users"):
        getattr(data, name).to_csv(tmp_path / "csv" / f"{name}.csv", index=False)
    expected = UserFeatures.from_dataset(data, columns)
    assert known(expected) == ["城市=北京", "gender=F", "gender=M", "age=18", "age=25"]
    for kind in ("parquet", "csv"):
        found = UserFeatures.from_dataset(Dataset.from_folder(tmp_path / kind), columns)
        assert found.vocabulary == expected.vocabulary
        np.testing.assert_array_equal(found.stored, expected.stored)
