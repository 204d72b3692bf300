"""Monitoring reports, against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from rich.console import Console

from tfllmrec.errors import InputError
from tfllmrec.monitoring import monitoring_report, report_tables, write_report

KEY = b"correct horse battery"
LAST = ("another user", "z", 30)
"""An interaction after the end of every window."""


@pytest.fixture
def report_of(log_of, interactions_of):
    """Makes a report: (impressions, interactions, **options)."""
    return lambda impressions, interactions, **options: monitoring_report(
        log_of(impressions), interactions_of(*interactions), KEY, **{"k": 2} | options
    )


@pytest.fixture
def two_versions(impression, report_of):
    impressions = [
        impression("ann", 0, "abc"),
        impression("ann", 1, "bd"),
        impression("bob", 0, "ab"),
        impression("bob", 2, "e"),
        impression("cat", 0, "xy", "canary"),
        impression("cat", 3, "xy", "canary"),
        impression("dan", 0, "ab", "canary"),
        impression("", 0, "ab", "canary"),
    ]
    interactions = [
        ("ann", "b", 1.5),  # a click at position 2 of the first and 1 of the last impression
        ("ann", "c", 2),  # at position 3 of the first impression, beyond k
        ("bob", "a", 0),  # not after the impression
        ("bob", "a", 7.5),  # after the window of the first impression, and not in the second
        ("bob", "e", 9),  # in the second impression, at the end of its window
        ("cat", "y", 2),  # after the first impression, before the second
        ("dan", "q", 1),
        LAST,
    ]
    return report_of(impressions, interactions).signatures[0]


def test_click_through_rate_and_recall_by_hand(two_versions):
    stable, canary = two_versions.versions
    assert (stable.name, stable.impressions, stable.users, stable.evaluated) == ("1 stable", 4, 2, 4)
    assert (canary.name, canary.impressions, canary.users, canary.evaluated) == ("2 canary", 4, 2, 3)
    assert stable.click_through_rate.mean == 3 / 4
    assert stable.click_through_rate_by_position == [2 / 4, 1 / 3]  # bob's second impression has one position
    assert canary.click_through_rate.mean == 1 / 3
    assert canary.click_through_rate_by_position == [0, 1 / 3]
    assert (stable.fresh_events, stable.recall.mean) == (4, 2 / 4)
    assert (canary.fresh_events, canary.recall.mean) == (2, 1 / 2)
    assert (stable.items, canary.items) == (4, 4)
    assert (canary.recall.low, canary.recall.high) == (0, 1)


def test_the_canary_is_compared_with_stable(two_versions):
    (comparison,) = two_versions.comparisons
    assert (comparison.name, comparison.reference) == ("2 canary", "1 stable")
    assert comparison.click_through_rate.mean == pytest.approx(1 / 3 - 3 / 4)
    assert comparison.recall.mean == 0
    assert comparison.drift.items.observed > 0


def test_impressions_with_an_unfinished_window_are_not_evaluated(impression, report_of):
    impressions = [impression(user, day, "a") for day in (0, 2) for user in ("ann", "bob")]
    # Interactions are known until day 8, so impressions of day 2 could still get clicks.
    interactions = [("ann", "a", 1), ("ann", "a", 8), ("bob", "x", 3)]
    version = report_of(impressions, interactions).signatures[0].versions[0]
    assert (version.impressions, version.evaluated, version.click_through_rate.mean) == (4, 2, 1 / 2)
    assert report_of(impressions, interactions, window_days=6).signatures[0].versions[0].evaluated == 4


def test_a_real_difference_lies_in_its_interval(impression, report_of):
    random = np.random.default_rng(0)
    impressions, interactions = [], [LAST]
    for number in range(400):
        label = ("stable", "canary")[number % 2]
        impressions.append(impression(f"user {number}", 0, ["a", "b"], label))
        if random.random() < (0.3, 0.5)[number % 2]:
            interactions.append((f"user {number}", "b", 1))
    (comparison,) = report_of(impressions, interactions).signatures[0].comparisons
    interval = comparison.click_through_rate
    assert 0 < interval.low < 0.2 < interval.high < 0.4
    half = (interval.high - interval.low) / 2
    assert half == pytest.approx(1.96 * np.sqrt((0.21 + 0.25) / 200), rel=0.15)


def test_without_labels_the_version_with_most_impressions_is_the_reference(impression, report_of):
    impressions = [
        impression("ann", 0, "a", "", version=1),
        *(impression("bob", day, "a", "", version=2) for day in range(3)),
    ]
    versions = report_of(impressions, [("ann", "a", 1), LAST]).signatures[0].versions
    assert [version.name for version in versions] == ["2", "1"]
    assert [version.click_through_rate for version in versions] == [None, None]  # one user has no interval


def test_models_and_signatures_are_reported_separately(impression, report_of):
    impressions = [
        impression("ann", 0, "a"),
        impression("ann", 0.5, "b", signature="next_items"),
        impression("ann", 0.6, "c", model="songs"),
    ]
    signatures = report_of(impressions, [("ann", "a", 1), LAST]).signatures
    assert [(report.model, report.signature) for report in signatures] == [
        ("films", "next_items"),
        ("films", "retrieve"),
        ("songs", "retrieve"),
    ]
    assert [report.versions[0].click_through_rate_by_position[0] for report in signatures] == [0, 1, 0]


@pytest.mark.parametrize(
    ("key", "interaction", "message"),
    [
        (b"another horse battery", ("ann", "a", 1), "none of the 1 users in the interactions is among the 1 users in"),
        (
            KEY,
            ("ann", "a", 9),
            "no interaction falls within 7 days after an impression: impressions are from 1970-01-01",
        ),
        (KEY, ("ann", "a", 1e9), r"from 8.64e\+13 to 8.64e\+13"),
    ],
)
def test_tables_without_overlap_are_refused(impression, log_of, interactions_of, key, interaction, message):
    with pytest.raises(InputError, match=message):
        monitoring_report(log_of([impression("ann", 0, "a")]), interactions_of(interaction), key)


@pytest.mark.parametrize("options", [{"k": 0}, {"window_days": 0}, {"window_days": float("nan")}])
def test_options_that_are_not_positive_are_refused(impression, report_of, options):
    with pytest.raises(InputError, match="must be above 0"):
        report_of([impression("ann", 0, "a")], [LAST], **options)


def test_a_log_without_known_users_and_scores_is_reported(impression, report_of, tmp_path):
    report = report_of([impression("", day, "ab", scores=[]) for day in range(4)], [LAST])
    signature = report.signatures[0]
    version = signature.versions[0]
    assert (version.evaluated, version.recall, signature.drift.score_psi) == (0, None, None)
    assert signature.drift.items.observed == 0
    write_report(tmp_path / "out", report)
    assert [table.row_count for table in report_tables(report)] == [1, 5]


def test_monitor_command(run, impression, interactions_of, key_file, tmp_path):
    log, table = tmp_path / "served.jsonl", tmp_path / "since.parquet"
    labels = {"ann": "stable", "bob": "stable", "cat": "canary", "dan": "canary"}
    lines = [impression(user, day, "ab", label).model_dump_json() for user, label in labels.items() for day in (0, 1)]
    log.write_text("\n".join([*lines, '{"time"']))
    interactions_of(*((user, "b", 1.5) for user in labels), LAST).to_parquet(table)
    command = ["monitor", log, "--interactions", table, "--key-file", key_file, "--out", tmp_path / "out", "-k", 5]
    status, stdout, stderr = run(*command)
    assert (status, stderr) == (0, "")
    for text in ("films, retrieve", "2 canary", "against 1 stable", "1.0000", "truncated lines left out: 1"):
        assert text in stdout, stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"monitoring.json", "monitoring.png"}
    report = pd.read_json(tmp_path / "out" / "monitoring.json", orient="index")[0]
    assert (report["k"], report["impressions"], report["truncated_lines"]) == (5, 8, 1)
    assert report["signatures"][0]["versions"][1]["click_through_rate"] == {"mean": 1, "low": 1, "high": 1}
    assert imread(tmp_path / "out" / "monitoring.png").shape[:2] == (1110, 1650)
    status, _, stderr = run(*command)
    assert (status, "already exists" in stderr) == (2, True)
    status, _, stderr = run(*command[:2], "--interactions", tmp_path / "x.txt", *command[4:])
    assert (status, "x.txt is not a table" in stderr) == (2, True)


def test_tables_fit_80_columns(impression, report_of):
    report = report_of([impression("ann", 0, "ab"), impression("bob", 0, "ab", "canary")], [("ann", "a", 1), LAST])
    console = Console(width=80, record=True, file=None)
    with console.capture() as captured:
        for table in report_tables(report):
            console.print(table)
    assert "…" not in captured.get()
