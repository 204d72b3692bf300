"""Times of every type: one format per column, order and values kept."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec import Dataset, InputError, leave_one_out
from tfllmrec.data import temporal_split
from tfllmrec.data.times import read_times

NINTH, TENTH = 1709942400, 1710028800
"""9 and 10 March 2024."""
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def read(values: Any, **options: Any) -> list[float]:
    return read_times(pd.Series(values), "interactions: column timestamp", **options).tolist()


def arrow(values: list[Any], kind: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))


def days_of_march(separator: str) -> Dataset:
    """Return a data set of one user with an item a day, 9 to 16 March 2024, in shuffled rows."""
    days = np.random.default_rng(0).permutation(np.arange(9, 17))
    times = [f"{day:02}{separator}03{separator}2024" for day in days]
    return Dataset.from_frames(pd.DataFrame({"user_id": "u", "item_id": days, "timestamp": times}))


@pytest.mark.parametrize("separator", ["/", ".", "-"])
def test_days_come_first_in_the_whole_column(separator: str) -> None:
    data = days_of_march(separator)
    assert data.interactions["item_id"].tolist() == ["9", *map(str, range(10, 17))][: len(data.interactions)]
    assert data.interactions["timestamp"].tolist() == [NINTH + day * 86400 for day in range(8)]
    split = leave_one_out(data)
    assert data.item_vocabulary.ids(split.test.items).tolist() == ["16"]
    assert data.item_vocabulary.ids(split.validation.items).tolist() == ["15"]
    parts = temporal_split(data, NINTH + 4 * 86400, NINTH + 6 * 86400)
    assert (len(parts.train.interactions), len(parts.validation), len(parts.test)) == (4, 2, 2)


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (["03/09/2024", "03/13/2024"], [NINTH, NINTH + 4 * 86400]),
        (["9.3.2024 00:30", "13.3.2024 1:00"], [NINTH + 1800, NINTH + 4 * 86400 + 3600]),
        (["03/09/2024 12:30 AM", "03/13/2024 1:15 pm"], [NINTH + 1800, NINTH + 4 * 86400 + 13 * 3600 + 900]),
        (["2024/03/09", "2024/3/10"], [NINTH, TENTH]),
        (["2024.03.09 01:00", "2024.03.10"], [NINTH + 3600, TENTH]),
        (["2024-03-09", "2024-03-10T00:00:01.5Z"], [NINTH, TENTH + 1.5]),
        (["2024-03-09T08:00:00+08:00", "2024-03-10 00:00"], [NINTH, TENTH]),
        (["2024-03-09 00:00:00 UTC", "2024-03-10 00:00:00 +0000"], [NINTH, TENTH]),
        (["2024年3月9日", "2024年03月10日 0:30"], [NINTH, TENTH + 1800]),
        (["Sat, 09 Mar 2024 01:00:00 +0100", "10 Mar 2024 00:00:00 GMT"], [NINTH, TENTH]),
        (["9-Mar-2024", "10-Mar-2024"], [NINTH, TENTH]),
        (["March 9, 2024", "Mar 10, 2024 00:00"], [NINTH, TENTH]),
        (["Sat Mar 09 00:00:00 +0000 2024", "Sun Mar 10 00:00:00 2024"], [NINTH, TENTH]),
        ([str(NINTH), f"{TENTH}.5"], [NINTH, TENTH + 0.5]),
        (["9999-12-31", "2024-03-09"], [253402214400, NINTH]),
        (["1969-12-31T23:59:59.5", "0"][:1], [-0.5]),
    ],
)
def test_text_is_read_in_one_format(texts: list[str], times: list[float]) -> None:
    assert read(texts) == times
    assert read(pd.Series(texts, dtype="category")) == times
    assert read(pd.Series(texts, dtype=pd.ArrowDtype(pa.large_string()))) == times
    assert read([f" {text}\t" for text in texts]) == times


def test_long_columns_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfllmrec.data.date_formats._BLOCK", 3)
    assert read([f"{day:02}.03.2024" for day in range(9, 17)]) == [NINTH + day * 86400 for day in range(8)]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (
            ["09/03/2024", "10/03/2024"],
            r"has dates such as '09/03/2024' in which day and month are ambiguous: give ISO ",
        ),
        (
            ["13/03/2024", "03/13/2024"],
            r"has dates with the day first \('13/03/2024'\) and with the month first \('03/",
        ),
        (["2024-03-09", "09.03.2024"], r"mixes formats of dates \('2024-03-09' and '09.03.2024'\): give all in one"),
        (["2024-03-09", "1709942400"], r"mixes numbers \('1709942400'\) and dates \('2024-03-09'\): give either"),
    ],
)
def test_columns_without_a_single_format_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^interactions: column timestamp {sentence}"):
        read(texts)


@pytest.mark.parametrize(
    "text", ["now", "today", "12:30", "09/03/24", "2024-13-05", "31/02/2024", "2024-03-09 25:00", "x"]
)
def test_texts_that_are_not_dates_are_missing(text: str) -> None:
    assert np.isnan(read([text, "2024-03-09" if "/" not in text else "13/03/2024"])[0])


@pytest.mark.parametrize(
    ("values", "date_format"),
    [
        (["09/03/2024", "10/03/2024"], "%d/%m/%Y"),
        (["03/09/24", "03/10/24"], "%m/%d/%y"),
        ([20240309, 20240310], "%Y%m%d"),
        ([20240309.0, 20240310.0], "%Y%m%d"),
        (["20240309", "20240310"], "%Y%m%d"),
    ],
)
def test_a_given_format_is_used(values: list[Any], date_format: str) -> None:
    assert read(values, date_format=date_format) == [NINTH, TENTH]
    table = pd.DataFrame({"user_id": "u", "item_id": ["a", "b"], "timestamp": values})
    data = Dataset.from_frames(table, date_format=date_format)
    assert data.interactions["timestamp"].tolist() == [NINTH, TENTH]


def test_values_of_another_format_are_shown() -> None:
    table = pd.DataFrame({"user_id": "u", "item_id": ["a", "b"], "timestamp": ["09/03/2024", "03-10-2024"]})
    with pytest.raises(
        InputError, match=r"1 values .* are not times \(row 1: '03-10-2024'\): date_format is '%d/%m/%Y'"
    ):
        Dataset.from_frames(table, date_format="%d/%m/%Y")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([NINTH, NINTH + 1], np.float32), "float"),
        (pd.array([NINTH, NINTH + 1], "Float32"), "float"),
        (np.array([4000, 4001], np.float16), "halffloat"),
    ],
)
def test_floats_that_have_lost_digits_are_refused(values: Any, kind: str) -> None:
    with pytest.raises(
        InputError, match=f"in a column of {kind}, which has lost digits: read the column as float64 or"
    ):
        read(values)
    assert read(np.array([1, 2], values.dtype if isinstance(values, np.ndarray) else np.float32)) == [1, 2]


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"column timestamp: date_format '%Q' is not a format of strptime: "):
        read(["2024-03-09"], date_format="%Q")


def test_dates_need_no_format() -> None:
    assert read(pd.to_datetime(["2024-03-09"]), date_format="%d/%m/%Y") == [NINTH]


@pytest.mark.parametrize("zone", [None, "Asia/Shanghai"])
@pytest.mark.parametrize("unit", UNITS)
def test_dates_of_every_unit_keep_value_and_order(unit: str, zone: str | None) -> None:
    """Consecutive times, closer than float64 resolves for nanoseconds."""
    exact = np.random.default_rng(0).permutation(NINTH * UNITS[unit] + np.arange(1000))
    columns = [arrow(exact.tolist(), pa.timestamp(unit, zone))]
    columns += [pd.Series(exact.astype(f"M8[{unit}]"))] if zone is None else []
    for column in columns:
        times = np.array(read(column))
        np.testing.assert_array_equal(np.argsort(times), np.argsort(exact))
        np.testing.assert_allclose(times, exact / UNITS[unit], rtol=0, atol=3e-4 if unit == "ns" else 5e-7)


@pytest.mark.parametrize(
    ("values", "times"),
    [
        (arrow([19791, None, 19792], pa.date32()), [NINTH, np.nan, TENTH]),
        (arrow([NINTH * 1000, TENTH * 1000], pa.date64()), [NINTH, TENTH]),
        (arrow([NINTH, TENTH], pa.int32()), [NINTH, TENTH]),
        (arrow([Decimal(NINTH), None, Decimal(TENTH)], pa.decimal128(12, 0)), [NINTH, np.nan, TENTH]),
        (arrow([2**60, 2**60 + 1], pa.int64()), [2**60, 2**60 + 1]),
        (np.array([2**63, 2**63 + 1], np.uint64), [2**63, 2**63 + 1]),
        ([str(2**60), str(2**60 + 1)], [2**60, 2**60 + 1]),
        ([dt.date(2024, 3, 9), dt.date(9999, 12, 31)], [NINTH, 253402214400]),
        ([np.datetime64("2024-03-09"), pd.Timestamp("2024-03-10"), None], [NINTH, TENTH, np.nan]),
        ([dt.datetime(2024, 3, 9, 8, tzinfo=dt.timezone(dt.timedelta(hours=8))), dt.date(2024, 3, 10)], [NINTH, TENTH]),
        (pd.Categorical([pd.Timestamp("2024-03-09"), pd.Timestamp("2024-03-10")]), [NINTH, TENTH]),
        ([1, 2.0, Decimal(3), "4"], [1, 2, 3, 4]),
        ([True, False], [np.nan, np.nan]),
        (pd.to_timedelta([1, 2], unit="s"), [np.nan, np.nan]),
    ],
)
def test_every_type_of_times_is_read(values: Any, times: list[float]) -> None:
    np.testing.assert_array_equal(read(values), times)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**12), 4 * 10**12), min_size=1, max_size=20), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_numbers_in_text_keep_their_order(numbers: list[int], scale: int) -> None:
    texts = [f"{Decimal(number) / scale:f}" for number in numbers]
    assert pd.Series(read(texts)).rank().tolist() == pd.Series(numbers).rank().tolist()
