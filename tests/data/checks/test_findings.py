"""Every finding on tables with that oddity alone; training refuses exactly the tables of refused findings."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.data.checks import check_folder
from tfllmrec.errors import InputError

START, HOUR, NOW = 1_704_067_200, 3600, 1_717_200_000  # 2024-01-01 and 2024-06-01
USERS, ITEMS = ["ann", "bob", "cat", "dan"], ["a", "b", "c", "d"]


@dataclass
class Folder:
    """Tables of a data set, written as Parquet."""

    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame

    def add(self, rows):
        """Add interactions (user, item, time) and their items and users."""
        added = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
        self.interactions = pd.concat([self.interactions, added], ignore_index=True)
        items = self.interactions["item_id"].dropna().unique()
        self.items = pd.DataFrame({"item_id": items, "title": items})
        self.users = pd.DataFrame({"user_id": self.interactions["user_id"].dropna().unique()})

    def write(self, path):
        for name in ("interactions", "items", "users"):
            getattr(self, name).to_parquet(path / f"{name}.parquet", index=False)
        return path


def clean():
    """Return tables in which nothing is odd: every user has every item, an hour after the one before."""
    rows = [(user, item, START + HOUR * step) for user in USERS for step, item in enumerate(ITEMS)]
    interactions = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return Folder(interactions, pd.DataFrame({"item_id": ITEMS, "title": ITEMS}), pd.DataFrame({"user_id": USERS}))


def times(values):
    """Return a change of the times of all rows."""

    def change(folder):
        folder.interactions["timestamp"] = values(folder.interactions["timestamp"])

    return change


def cell(table, row, column, value):
    """Return a change of one value."""

    def change(folder):
        frame = getattr(folder, table)
        frame[column] = frame[column].astype(object) if column in frame else None
        frame.loc[row, column] = value

    return change


def interactions(*rows):
    """Return a change that adds interactions."""
    return lambda folder: folder.add(rows)


def renamed(table, old, new):
    """Return a change of an id in one table, or in all tables if it is None."""

    def change(folder):
        for name in [table] if table else ["interactions", "items", "users"]:
            setattr(folder, name, getattr(folder, name).replace({"item_id": {old: new}, "user_id": {old: new}}))

    return change


def twice(table):
    """Return a change that repeats the first row of a table."""

    def change(folder):
        frame = getattr(folder, table)
        setattr(folder, table, pd.concat([frame, frame[:1]], ignore_index=True))

    return change


def extra(table, column, value):
    """Return a change that adds an id to a table of items or users."""

    def change(folder):
        setattr(folder, table, pd.concat([getattr(folder, table), pd.DataFrame([{column: value, "title": value}])]))

    return change


def bots(users, count, seconds):
    """Return interactions of some users with the same items at an interval."""
    return [(f"bot{user}", f"i{step}", START + seconds * step) for user in range(users) for step in range(count)]


def skewed():
    """Return interactions of which two of 198 items have two thirds."""
    rows = [(f"u{user}", f"i{user % 198}", START) for user in range(396)]
    return rows + [(f"u{user}", top, START + HOUR + n) for user in range(396) for n, top in enumerate(("a", "b"))]


def date_texts(form):
    return lambda values: pd.to_datetime(values, unit="s").dt.strftime(form)


@dataclass
class Case:
    name: str
    change: Any
    count: int
    example: str
    refused: bool = False


CASES = {
    "duplicates": Case("duplicates", twice("interactions"), 1, "user 'ann', item 'a', time 1704067200 (2024-01-01)"),
    "repeats": Case(
        "repeated user-item pairs", interactions(("ann", "a", START + 9 * HOUR)), 1, "user 'ann', item 'a'"
    ),
    "bots by count": Case("bots by count", interactions(*bots(2, 1000, HOUR)), 2, "'bot0' (1,000 rows)"),
    "bots in a minute": Case("bots by rate", interactions(*bots(2, 100, 0.6)), 2, "'bot0' (100 rows)"),
    "bots in a day": Case("bots by rate", interactions(*bots(5, 1000, 60)), 5, "'bot0' (1,000 rows)"),
    "short": Case("short histories", interactions(("eve", "a", START), ("eve", "b", NOW)), 1, "'eve' (2 rows)"),
    "all short": Case("short histories", lambda folder: keep_two(folder), 4, "'ann' (2 rows)", refused=True),
    "single": Case("single-user items", interactions(("ann", "z", START + 9 * HOUR)), 1, "'z'"),
    "skew": Case("skew", interactions(*skewed()), 2, "'a' (400 rows)"),
    "ties": Case("ties in time", cell("interactions", 1, "timestamp", START), 1, "user 'ann', item 'b'"),
    "positions": Case("positions as times", times(lambda t: (t - START) // HOUR), 16, "user 'ann', item 'a', time 0"),
    "yyyymmdd": Case("dates as numbers", times(lambda t: 20240101 + (t - START) // HOUR), 16, "time 20240101"),
    "yyyymmddHHMMSS": Case(
        "dates as numbers", times(lambda t: date_texts("%Y%m%d%H%M%S")(t).astype("int64")), 16, "time 20240101000000"
    ),
    "milliseconds": Case("times not in seconds", times(lambda t: t * 1000), 16, "1704067200000 (2024-01-01)"),
    "nanoseconds": Case("times not in seconds", times(lambda t: t * 10**9), 16, "(2024-01-01)"),
    "mixed": Case("mixed time units", cell("interactions", 3, "timestamp", (START + HOUR) * 1000), 1, "(2024-01-01 01"),
    "future": Case("future dates", cell("interactions", 3, "timestamp", NOW + 86400), 1, "(2024-06-02)"),
    "sentinel": Case("future dates", cell("interactions", 3, "timestamp", 253402214400), 1, "(9999-12-31)"),
    "early": Case("early dates", cell("interactions", 0, "timestamp", 0), 1, "time 0 (1970-01-01)"),
    "early in milliseconds": Case(
        "early dates",
        times(lambda t: pd.to_datetime(t.where(t.index > 0, 0), unit="s").astype("datetime64[ms]")),
        1,
        "time 1970-01-01",
    ),
    "no time": Case("unreadable times", cell("interactions", 5, "timestamp", None), 1, "row 5: None", refused=True),
    "infinite": Case(
        "unreadable times", cell("interactions", 5, "timestamp", float("inf")), 1, "row 5: inf", refused=True
    ),
    "truth": Case("unreadable times", times(lambda t: t > START), 16, "row 0: False", refused=True),
    "no date": Case(
        "unreadable times",
        lambda folder: (
            times(date_texts("%Y-%m-%d %H:%M"))(folder),
            cell("interactions", 2, "timestamp", "soon")(folder),
        ),
        1,
        "row 2: 'soon'",
        refused=True,
    ),
    "numbers and dates": Case(
        "ambiguous dates",
        lambda folder: (
            times(lambda t: t.astype(str))(folder),
            cell("interactions", 2, "timestamp", "2024-01-01")(folder),
        ),
        16,
        "row 0: '1704067200'",
        refused=True,
    ),
    "no user": Case("empty ids of users", cell("interactions", 6, "user_id", None), 1, "row 6", refused=True),
    "empty item": Case("empty ids of items", cell("interactions", 6, "item_id", ""), 1, "row 6", refused=True),
    "rating": Case(
        "unreadable ratings", cell("interactions", 2, "rating", float("inf")), 1, "row 2: inf", refused=True
    ),
    "spaces": Case("stray spaces in ids of items", renamed(None, "a", " a"), 1, "' a'"),
    "no-break space": Case("stray spaces in ids of users", renamed(None, "bob", "bob\u00a0"), 1, r"'bob\xa0'"),
    "byte order mark": Case("stray spaces in ids of users", renamed(None, "ann", "\ufeffann"), 1, r"'\ufeffann'"),
    "item twice": Case("repeated ids of items", twice("items"), 1, "'a' (2 rows)", refused=True),
    "user twice": Case("repeated ids of users", twice("users"), 1, "'ann' (2 rows)", refused=True),
    "unknown user": Case("unknown users", lambda folder: drop_first(folder, "users"), 1, "'ann' (4 rows)"),
    "unknown item": Case("unknown items", lambda folder: drop_first(folder, "items"), 1, "'a' (4 rows)", refused=True),
    "unused item": Case("items without interactions", extra("items", "item_id", "z"), 1, "'z'"),
    "unused user": Case("users without interactions", extra("users", "user_id", "zoe"), 1, "'zoe'"),
}


def keep_two(folder):
    rows = folder.interactions.groupby("user_id").head(2)
    folder.interactions = folder.interactions[:0]
    folder.add(rows)


def drop_first(folder, table):
    setattr(folder, table, getattr(folder, table)[1:])


@pytest.mark.parametrize("kind", CASES)
def test_a_table_with_one_oddity_has_one_finding(kind, tmp_path):
    case, folder = CASES[kind], clean()
    case.change(folder)
    report = check_folder(folder.write(tmp_path), now=NOW)
    assert [finding.name for finding in report.findings] == [case.name]
    (finding,) = report.findings
    assert (finding.count, finding.refused) == (case.count, case.refused)
    assert case.example in finding.examples[0]
    assert report.status == (2 if case.refused else 1)
    with pytest.raises(InputError) if case.refused else nullcontext():
        leave_one_out(Dataset.from_folder(tmp_path))


@pytest.mark.parametrize(
    "kind", ["duplicates", "positions", "sentinel", "no user", "spaces", "rating", "no date", "numbers and dates"]
)
def test_csv_and_parquet_tables_have_the_same_findings(kind, tmp_path):
    folder = clean()
    CASES[kind].change(folder)
    expected = check_folder(folder.write(tmp_path), now=NOW)
    for path in tmp_path.glob("*.parquet"):
        pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)
        path.unlink()
    assert check_folder(tmp_path, now=NOW) == expected


def test_nothing_is_odd_in_clean_tables(tmp_path):
    report = check_folder(clean().write(tmp_path), now=NOW)
    assert (report.findings, report.status) == ((), 0)
    assert report.summary == {"interactions": 16, "users": 4, "items": 4, "top_1_percent_share": 0.25, "gini": 0.0}


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%d %b %Y %H:%M"])
def test_dates_as_text_are_times(tmp_path, form):
    folder = clean()
    times(date_texts(form))(folder)
    assert check_folder(folder.write(tmp_path), now=NOW).findings == ()
    (finding,) = check_folder(tmp_path, now=START - 14 * HOUR).findings
    assert (finding.name, finding.count) == ("future dates", 12), "of 16, 4 are at the start"
    assert finding.examples[0] == "user 'ann', item 'b', time 2024-01-01 01:00:00"


def test_counts_and_shares(tmp_path):
    folder = clean()
    folder.add([("eve", "a", START), ("fay", "b", START)])
    (finding,) = check_folder(folder.write(tmp_path), now=NOW).findings
    assert (finding.count, finding.unit, finding.share) == (2, "users", 2 / 6)
    assert finding.examples == ("'eve' (1 row)", "'fay' (1 row)")


@pytest.mark.parametrize(("listed", "used"), [("a", " A"), ("7", "7.0"), ("7", "007"), ("7.0", "7")])
def test_unknown_ids_that_are_written_in_another_way_are_counted(tmp_path, listed, used):
    folder = clean()
    renamed(None, "a", listed)(folder)
    renamed("interactions", listed, used)(folder)
    findings = {finding.name: finding for finding in check_folder(folder.write(tmp_path), now=NOW).findings}
    assert "1 differ from a known id only by spaces" in findings["unknown items"].advice


@pytest.mark.parametrize(
    ("column", "values", "name", "count"),
    [
        ("user_id", pa.nulls(16), "empty ids of users", 16),
        ("item_id", pa.array([1.0, float("nan")] * 8), "empty ids of items", 8),
        ("timestamp", pa.nulls(16), "unreadable times", 16),
        ("timestamp", pa.array([[1]] * 16), "unreadable times", 16),
        ("timestamp", pa.array([1] * 16, pa.time32("s")), "unreadable times", 16),
    ],
)
def test_columns_without_readable_values(tmp_path, column, values, name, count):
    table = pa.Table.from_pandas(clean().interactions, preserve_index=False)
    pq.write_table(
        table.set_column(table.column_names.index(column), column, values), tmp_path / "interactions.parquet"
    )
    findings = {finding.name: finding for finding in check_folder(tmp_path, now=NOW).findings}
    assert (findings[name].count, findings[name].refused) == (count, True)


def test_lists_are_no_ids(tmp_path):
    folder = clean()
    folder.interactions["user_id"] = [["ann"]] * 16
    with pytest.raises(InputError, match="interactions: column user_id has values that cannot be ids"):
        check_folder(folder.write(tmp_path))


@pytest.mark.parametrize("time", [1e300, -1e300, 9e18])
def test_numbers_beyond_all_dates_are_shown_as_they_are(tmp_path, time):
    folder = clean()
    cell("interactions", 0, "timestamp", time)(folder)
    folder.interactions["timestamp"] = folder.interactions["timestamp"].astype(float)
    examples = [finding.examples for finding in check_folder(folder.write(tmp_path), now=NOW).findings]
    assert any(f"time {time}" in example for shown in examples for example in shown)


def test_ids_of_any_type_agree_between_tables(tmp_path):
    folder = clean()
    folder.interactions["item_id"] = folder.interactions["item_id"].map({item: n for n, item in enumerate(ITEMS)})
    folder.interactions["user_id"] = folder.interactions["user_id"].astype("category")
    folder.items["item_id"] = ["0", "1", "2", "3"]
    assert check_folder(folder.write(tmp_path), now=NOW).findings == ()


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("tsv.gz", {"sep": "\t"}), ("csv", {"sep": ";", "encoding": "utf-16"}), ("csv", {"sep": "|"})],
)
def test_csv_files_are_read_as_by_the_data_set(tmp_path, suffix, options):
    folder = clean()
    folder.interactions = folder.interactions.replace({"item_id": {"a": "1.0", "b": "2.0", "c": "3.0", "d": "4.0"}})
    folder.items = folder.items.replace({"item_id": {"a": "1", "b": "2", "c": "3", "d": "4"}})
    folder.write(tmp_path)
    for path in tmp_path.glob("*.parquet"):
        pd.read_parquet(path).to_csv(tmp_path / f"{path.stem}.{suffix}", index=False, **options)
        path.unlink()
    assert check_folder(tmp_path, now=NOW).findings == ()
    assert Dataset.from_folder(tmp_path).item_vocabulary.tokens[1:].tolist() == ["1", "2", "3", "4"]


def test_a_date_format_makes_ambiguous_dates_times(tmp_path):
    folder = clean()
    times(date_texts("%d/%m/%Y %H:%M"))(folder)
    (finding,) = check_folder(folder.write(tmp_path), now=NOW).findings
    assert (finding.name, finding.refused) == ("ambiguous dates", True)
    assert "give ISO dates (2024-03-09), Unix seconds, or date_format" in finding.advice
    assert check_folder(tmp_path, now=NOW, date_format="%d/%m/%Y %H:%M").findings == ()
