"""What came of lists, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from rich.console import Console

from tfllmrec.errors import InputError
from tfllmrec.monitoring import quality_report, quality_tables, write_quality

KEY = b"correct horse battery"
LAST = ("somebody else", "z", 30)
"""An interaction after which every window is over."""


@pytest.fixture
def report_of(served_of, taken_of):
    """Makes a report: (lists, interactions, **options)."""
    return lambda lists, taken, **options: quality_report(served_of(lists), taken_of(*taken), KEY, **{"k": 2} | options)


@pytest.fixture
def two_versions(listed, report_of):
    lists = [
        listed("ann", 0, "abc"),
        listed("ann", 1, "bd"),
        listed("bob", 0, "ab"),
        listed("bob", 2, "e"),
        listed("cat", 0, "xy", "canary"),
        listed("cat", 3, "xy", "canary"),
        listed("dan", 0, "ab", "canary"),
        listed("", 0, "ab", "canary"),
    ]
    taken = [
        ("ann", "b", 1.5),  # of both of ann's lists: places 2 and 1; the last list had it
        ("ann", "c", 2),  # third place of the first list only
        ("bob", "a", 0),  # not after the list
        ("bob", "a", 7.5),  # more than a week after the first list, and not in the second
        ("bob", "e", 9),  # in the second list, just within its week
        ("cat", "y", 2),  # after the first list, before the second
        ("dan", "q", 1),
        LAST,
    ]
    return report_of(lists, taken).surfaces[0]


def test_click_through_and_recall_by_hand(two_versions):
    stable, canary = two_versions.asked
    assert (stable.name, stable.lists, stable.users, stable.judged) == ("1 stable", 4, 2, 4)
    assert (canary.name, canary.lists, canary.users, canary.judged) == ("2 canary", 4, 2, 3)
    assert stable.click_through.mean == 3 / 4
    assert stable.by_place == [2 / 4, 1 / 3]  # bob's second list has one place
    assert canary.click_through.mean == 1 / 3
    assert canary.by_place == [0, 1 / 3]
    assert (stable.events, stable.recall.mean) == (4, 2 / 4)
    assert (canary.events, canary.recall.mean) == (2, 1 / 2)
    assert (stable.items, canary.items) == (4, 4)
    assert (canary.recall.low, canary.recall.high) == (0, 1)


def test_the_canary_is_compared_with_what_is_stable(two_versions):
    (compared,) = two_versions.compared
    assert (compared.name, compared.reference) == ("2 canary", "1 stable")
    assert compared.click_through.mean == pytest.approx(1 / 3 - 3 / 4)
    assert compared.recall.mean == 0
    assert compared.drift.popularity.distance > 0


def test_lists_whose_window_is_not_over_are_not_judged(listed, report_of):
    lists = [listed(user, day, "a") for day in (0, 2) for user in ("ann", "bob")]
    taken = [("ann", "a", 1), ("ann", "a", 8), ("bob", "x", 3)]  # known until day 8: those of day 2 could come to more
    asked = report_of(lists, taken).surfaces[0].asked[0]
    assert (asked.lists, asked.judged, asked.click_through.mean) == (4, 2, 1 / 2)
    assert report_of(lists, taken, window_days=6).surfaces[0].asked[0].judged == 4


def test_a_real_difference_is_seen_with_its_interval(listed, report_of):
    random = np.random.default_rng(0)
    lists, taken = [], [LAST]
    for number in range(400):
        label = ("stable", "canary")[number % 2]
        lists.append(listed(f"user {number}", 0, ["a", "b"], label))
        if random.random() < (0.3, 0.5)[number % 2]:
            taken.append((f"user {number}", "b", 1))
    (compared,) = report_of(lists, taken).surfaces[0].compared
    assert 0 < compared.click_through.low < 0.2 < compared.click_through.high < 0.4
    half = (compared.click_through.high - compared.click_through.low) / 2
    assert half == pytest.approx(1.96 * np.sqrt((0.21 + 0.25) / 200), rel=0.15)


def test_without_a_label_what_has_most_lists_is_the_reference(listed, report_of):
    lists = [listed("ann", 0, "a", "", version=1), *(listed("bob", day, "a", "", version=2) for day in range(3))]
    surface = report_of(lists, [("ann", "a", 1), LAST]).surfaces[0]
    assert [one.name for one in surface.asked] == ["2", "1"]
    assert [one.click_through for one in surface.asked] == [None, None]  # of one user no interval


def test_models_and_signatures_are_apart(listed, report_of):
    lists = [
        listed("ann", 0, "a"),
        listed("ann", 0.5, "b", signature="next_items"),
        listed("ann", 0.6, "c", model="songs"),
    ]
    surfaces = report_of(lists, [("ann", "a", 1), LAST]).surfaces
    assert [(one.model, one.signature) for one in surfaces] == [
        ("films", "next_items"),
        ("films", "retrieve"),
        ("songs", "retrieve"),
    ]
    assert [one.asked[0].by_place[0] for one in surfaces] == [0, 1, 0]


@pytest.mark.parametrize(
    ("key", "taken", "message"),
    [
        (b"another horse battery", ("ann", "a", 1), "none of the interactions' 1 users is among the 1 who were served"),
        (KEY, ("ann", "a", 9), "no interaction came within 7 days after a list: lists are from 1970-01-01"),
        (KEY, ("ann", "a", 1e9), r"from 8.64e\+13 to 8.64e\+13"),
    ],
)
def test_tables_that_do_not_belong_together(listed, served_of, taken_of, key, taken, message):
    with pytest.raises(InputError, match=message):
        quality_report(served_of([listed("ann", 0, "a")]), taken_of(taken), key)


@pytest.mark.parametrize("options", [{"k": 0}, {"window_days": 0}, {"window_days": float("nan")}])
def test_options_that_are_none(listed, report_of, options):
    with pytest.raises(InputError, match="must be above 0"):
        report_of([listed("ann", 0, "a")], [LAST], **options)


def test_nobody_is_named_and_nothing_has_scores(listed, report_of, tmp_path):
    report = report_of([listed("", day, "ab", scores=[]) for day in range(4)], [LAST])
    surface = report.surfaces[0]
    assert (surface.asked[0].judged, surface.asked[0].recall, surface.drift.scores) == (0, None, None)
    assert surface.drift.popularity.distance == 0
    write_quality(tmp_path / "out", report)
    assert [table.row_count for table in quality_tables(report)] == [1, 5]


def test_the_command(run, listed, taken_of, key_file, tmp_path):
    served, table = tmp_path / "served.jsonl", tmp_path / "since.parquet"
    labels = {"ann": "stable", "bob": "stable", "cat": "canary", "dan": "canary"}
    lines = [listed(user, day, "ab", label).model_dump_json() for user, label in labels.items() for day in (0, 1)]
    served.write_text("\n".join([*lines, '{"time"']))
    taken_of(*((user, "b", 1.5) for user in labels), LAST).to_parquet(table)
    asked = ["quality", served, "--interactions", table, "--key-file", key_file, "--out", tmp_path / "out", "-k", 5]
    status, printed, told = run(*asked)
    assert (status, told) == (0, "")
    for words in ("films, retrieve", "2 canary", "against 1 stable", "1.0000", "cut short, and are left out: 1"):
        assert words in printed, printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"quality.json", "quality.png"}
    found = pd.read_json(tmp_path / "out" / "quality.json", orient="index")[0]
    assert (found["k"], found["lists"], found["cut_short"]) == (5, 8, 1)
    assert found["surfaces"][0]["asked"][1]["click_through"] == {"mean": 1, "low": 1, "high": 1}
    assert imread(tmp_path / "out" / "quality.png").shape[:2] == (1110, 1650)
    status, _, told = run(*asked)
    assert (status, "exists already" in told) == (2, True)
    status, _, told = run(*asked[:2], "--interactions", tmp_path / "x.txt", *asked[4:])
    assert (status, "x.txt is no table" in told) == (2, True)


def test_tables_fit_into_a_console(two_versions, listed, report_of):
    report = report_of([listed("ann", 0, "ab"), listed("bob", 0, "ab", "canary")], [("ann", "a", 1), LAST])
    console = Console(width=80, record=True, file=None)
    with console.capture() as told:
        for table in quality_tables(report):
            console.print(table)
    assert "…" not in told.get()
