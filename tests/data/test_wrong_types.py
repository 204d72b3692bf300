"""A wrong type in any argument of a public function raises one sentence with the function and the argument."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tfllmrec import Dataset, InputError, checkerboard, leave_one_out, load_dataset
from tfllmrec.data import cold_items, cold_users, k_anonymous, pseudonymise, pseudonymise_folder, temporal_split

TABLE = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1, 2]})
DATA = checkerboard().data
KEY = b"correct horse battery"
NOT_PATHS: tuple[Any, ...] = (5, None, ["a"], b"a")
NOT_DATA: tuple[Any, ...] = (TABLE, None, "films", 5)
NOT_TEXT: tuple[Any, ...] = (5, ["%d"], b"%d")

CALLS: list[tuple[str, Callable[[Any], Any], tuple[Any, ...]]] = [
    ("Dataset.from_frames: positions", lambda value: Dataset.from_frames(TABLE, positions=value), ("no", 0, None)),
    ("Dataset.from_frames: date_format", lambda value: Dataset.from_frames(TABLE, date_format=value), NOT_TEXT),
    ("Dataset.from_frames: id_order", lambda value: Dataset.from_frames(TABLE, id_order=value), (DATA, ["a"], 5)),
    (
        "Dataset.from_frames: min_item_interactions",
        lambda value: Dataset.from_frames(TABLE, min_item_interactions=value),
        ("1", 1.5, True, None),
    ),
    ("Dataset.from_folder: folder", Dataset.from_folder, NOT_PATHS),
    ("Dataset.from_folder: separator", lambda value: Dataset.from_folder("a", separator=value), NOT_TEXT),
    ("Dataset.from_folder: encoding", lambda value: Dataset.from_folder("a", encoding=value), NOT_TEXT),
    ("to_folder: folder", lambda value: DATA.to_folder(value), NOT_PATHS),
    ("load_dataset: name_or_folder", load_dataset, NOT_PATHS),
    ("leave_one_out: data", leave_one_out, NOT_DATA),
    ("temporal_split: data", lambda value: temporal_split(value, 1, 2), NOT_DATA),
    ("temporal_split: validation_from", lambda value: temporal_split(DATA, value, 2), ("2024-03-09", None, [1])),
    ("temporal_split: test_from", lambda value: temporal_split(DATA, 1, value), ("2024-03-09", None, [1])),
    ("cold_items: data", cold_items, NOT_DATA),
    ("cold_items: fraction", lambda value: cold_items(DATA, value), ("0.1", None, [0.1])),
    ("cold_items: seed", lambda value: cold_items(DATA, seed=value), ("1", None, 1.5)),
    ("cold_users: data", cold_users, NOT_DATA),
    ("k_anonymous: k", lambda value: k_anonymous(TABLE[:1], value), ("2", 2.5, None)),
    ("k_anonymous: columns", lambda value: k_anonymous(TABLE[:1], 2, value), (5, 2.5, True)),
    ("pseudonymise: key", lambda value: pseudonymise(TABLE, None, value), ("secret", None, 5)),
    ("pseudonymise_folder: folder", lambda value: pseudonymise_folder(value, "out", KEY), NOT_PATHS),
    ("pseudonymise_folder: out", lambda value: pseudonymise_folder("films", value, KEY), NOT_PATHS),
]


@pytest.mark.parametrize(("argument", "call", "values"), CALLS, ids=[call[0] for call in CALLS])
def test_wrong_types_are_refused(
    argument: str, call: Callable[[Any], Any], values: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    for value in values:
        with pytest.raises(InputError, match=rf"^{argument} is [^\n]*; pass [^\n]*$"):
            call(value)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
