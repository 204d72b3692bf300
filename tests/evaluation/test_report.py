import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from tfllmrec.errors import InputError
from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.evaluation.report import (
    best_first,
    cold_table,
    interest_table,
    multi_task_table,
    score_table,
    write_report,
)

MODELS = {
    "popularity": {"ndcg@10": 0.018, "recall@10": 0.037, "coverage@10": 0.01, "novelty@10": 9.1234},
    "markov_chain": {"ndcg@10": 0.1531, "recall@10": 0.261, "coverage@10": 0.5, "novelty@10": 10.2},
    "双塔[bold]": {"ndcg@10": 0.1742, "recall@10": 0.3, "coverage@10": 0.4, "novelty@10": 10.1},
}
INTERVALS = {"双塔[bold]": Interval(0.0211, 0.0162, 0.0262), "popularity": Interval(-0.001, -0.1, 0.1)}


def text_of(table: Table, colours: str | None = None) -> str:
    console = Console(width=120, color_system=colours, force_terminal=colours is not None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_best_first() -> None:
    assert best_first(MODELS) == ["双塔[bold]", "markov_chain", "popularity"]


def test_score_table_has_a_row_per_model() -> None:
    lines = text_of(score_table(MODELS, INTERVALS)).splitlines()
    rows = [line.split(maxsplit=5) for line in lines if "0." in line]
    assert [row[:5] for row in rows] == [
        ["双塔[bold]", "0.1742", "0.3000", "0.4000", "10.10"],
        ["markov_chain", "0.1531", "0.2610", "0.5000", "10.20"],
        ["popularity", "0.0180", "0.0370", "0.0100", "9.12"],
    ]
    assert rows[0][5].strip() == "+0.0211 [+0.0162, +0.0262]"
    assert len(rows[1]) == 5
    assert "ndcg@10 against" in lines[1]


def test_best_value_of_a_quality_metric_is_highlighted() -> None:
    text = text_of(score_table(MODELS), "standard")
    assert "\x1b[1;32m0.1742" in text
    assert "\x1b[1;32m0.3000" in text
    assert text.count("\x1b[1;32m") == 2


def test_score_table_fits_into_80_columns() -> None:
    names = ["ndcg", "recall", "mrr", "precision", "f1", "coverage", "novelty"]
    table = score_table({"markov_chain": {f"{name}@10": 0.1234 for name in names}})
    assert Console(width=200).measure(table).maximum <= 80


COLD = {
    name: {"new items": {"ndcg@10": 0.5, "recall@10": recall}, "new users after 3": {"ndcg@10": 0.25, "recall@10": 0.1}}
    for name, recall in {"popularity": 0.0, "two_tower": 0.3125}.items()
}


def test_cold_table() -> None:
    output = io.StringIO()
    Console(width=80, file=output).print(cold_table(COLD))
    lines = [line.split() for line in output.getvalue().splitlines() if line.strip()]
    assert lines[0] == ["new", "users"]
    assert lines[1] == ["new", "items", "after", "3"]
    assert lines[2] == ["model", "recall@10", "ndcg@10"]
    assert lines[4:] == [["popularity", "0.0000", "0.2500"], ["two_tower", "0.3125", "0.2500"]]


def multi_task_report(*scenarios: str) -> dict[str, Any]:
    """Report of two tasks with one shared expert and one expert each."""
    shares = {"next_item": (0.25, 0.75, 0.0), "rating": (0.625, 0.0, 0.375)}
    rows = [
        {"scenario": scenario, "task": task, "expert": expert, "share": share}
        for scenario in scenarios
        for task, task_shares in shares.items()
        for expert, share in zip(("shared 1", "next_item", "rating"), task_shares, strict=True)
    ]
    return {"tasks": {"rating": {"rmse": 0.8751}}, "experts": rows}


def lines_of(table: Table) -> list[list[str]]:
    return [line.split() for line in text_of(table).splitlines() if line.strip(" ─")]


def test_multi_task_table() -> None:
    assert lines_of(multi_task_table(multi_task_report(""))) == [
        ["task", "shared", "1", "next_item", "rating"],
        ["next_item", "25%", "75%", "0%"],
        ["rating", "rmse", "0.8751", "62%", "0%", "38%"],
    ]
    by_scenario = lines_of(multi_task_table(multi_task_report("图书[b]", "films")))
    assert [line[:2] for line in by_scenario] == [
        ["scenario", "task"],
        *([scenario, task] for scenario in ("图书[b]", "films") for task in ("next_item", "rating")),
    ]


def test_interest_table_is_sorted_by_probability() -> None:
    table = interest_table("7[b]", {"剧情": 0.25, "Drama": 0.875, "War": 0.01, "Horror": 0.0}, most=3)
    lines = lines_of(table)
    assert lines[0] == ["Interests", "of", "user", "7[b]"]
    assert [(line[0], line[2]) for line in lines[1:]] == [("Drama", "88%"), ("剧情", "25%"), ("War", "1%")]
    assert [len(line[1]) for line in lines[1:]] == [21, 6, 1]


def test_report_contains_further_parts(tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", {}, {"popularity": {"ndcg@10": 0.1}}, {}, {"cold": COLD})
    assert json.loads((tmp_path / "report.json").read_text())["cold"] == COLD


def test_report_is_sorted_and_rounded(tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.json"
    models = MODELS | {"ease": {"ndcg@10": np.float32(0.1), "recall@10": 1 / 3}}
    write_report(path, {"users": np.int64(671), "notes": ("一", "two")}, models, {"fit": 1.23456789})
    report = json.loads(path.read_text(encoding="utf-8"))
    assert list(report) == ["data", "models", "seconds"]
    assert list(report["models"]) == ["双塔[bold]", "markov_chain", "ease", "popularity"]
    assert report["data"] == {"users": 671, "notes": ["一", "two"]}
    assert report["models"]["ease"] == {"ndcg@10": 0.1, "recall@10": 0.333333}
    assert report["models"]["popularity"] == MODELS["popularity"]
    assert report["seconds"] == {"fit": 1.234568}


def test_a_failed_write_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    write_report(path, {}, MODELS, {})
    old = path.read_text(encoding="utf-8")

    def full_disk(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    with pytest.raises(ValueError, match="JSON"):
        write_report(path, {}, MODELS, {"fit": float("nan")})
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(path, {"users": 1}, MODELS, {})
    assert path.read_text(encoding="utf-8") == old
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_report_without_models_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no models"):
        write_report(tmp_path / "report.json", {}, {}, {})
    with pytest.raises(InputError, match="no models"):
        score_table({})
