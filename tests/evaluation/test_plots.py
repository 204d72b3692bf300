import logging
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from tfllmrec.evaluation.plots import plot_report

MODELS = {"two_tower": {"ndcg@10": 0.17}, "双塔": {"ndcg@10": 0.16}, "popularity": {"ndcg@10": 0.02}}
CURVE = {"loss": [3.0, 2.0, 1.5], "val_ndcg@10": [0.1, 0.15, 0.14]}


@pytest.mark.parametrize(
    "curves",
    [
        {},
        {"two_tower": CURVE},
        {"双塔": CURVE, "two_tower": {"loss": [2.0]}},
        {f"model {number}": CURVE for number in range(9)},
    ],
    ids=["none", "one", "chinese", "many"],
)
def test_plot_report_does_not_warn(curves: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = dict(mpl.rcParams)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        plot_report(tmp_path / "report.png", curves, MODELS)
    height, width, _ = imread(tmp_path / "report.png").shape
    assert (width, height) == (1650, 750)
    assert not caplog.records
    assert dict(mpl.rcParams) == settings


def test_many_models_make_the_plot_taller(tmp_path: Path) -> None:
    plot_report(tmp_path / "report.png", {}, {f"model {n}": {"ndcg@10": n / 100} for n in range(20)})
    height, width, _ = imread(tmp_path / "report.png").shape
    assert width == 1650
    assert height > 1200
