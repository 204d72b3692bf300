"""Options are written out: constructors, configurations and documentation agree, and every value has a source."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest

import tfllmrec
from tfllmrec.data import Dataset
from tfllmrec.models.registry import FAMILIES, model_class

ALL = pytest.mark.parametrize("family", FAMILIES)


@ALL
def test_the_constructor_has_every_option(family: str) -> None:
    chosen = model_class(family)
    parameters = dict(inspect.signature(chosen.__init__).parameters)
    assert {*parameters} - {"self", "config"} == {field.name for field in fields(chosen.config_class)}
    for name, parameter in parameters.items():
        if name != "self":
            assert parameter.kind is parameter.KEYWORD_ONLY, name
            assert parameter.default is None, name
            assert type(None) in get_args(parameter.annotation), name


@ALL
def test_every_option_is_documented(family: str) -> None:
    chosen = model_class(family)
    documented = inspect.getdoc(chosen) or ""
    for field in fields(chosen.config_class):
        assert f"\n    {field.name}: " in documented, field.name


@ALL
def test_class_names_are_public(family: str) -> None:
    chosen = model_class(family)
    assert getattr(tfllmrec, chosen.__name__) is chosen


def sources(data: Dataset, **options: Any) -> dict[str, str]:
    table = tfllmrec.Ease(**options).fit(data).explain_config()
    return dict(zip(table["option"], table["source"], strict=True))


def test_sources_are_caller_data_or_default(data: Dataset) -> None:
    assert sources(data, l2=7.0) == {"history_length": "data: longest history", "seed": "default", "l2": "caller"}
    assert sources(data, history_length=3)["history_length"] == "caller"


def sized(interactions: int, users: int) -> Dataset:
    rows = [(f"u{row % users}", f"i{row // users}", row) for row in range(interactions)]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def test_the_size_of_the_data_names_the_rule() -> None:
    config = model_class("two_tower").config_class
    short, long = (config.sources(sized(400, users), {}) for users in (40, 10))
    assert short["weight_decay"] == "data: fewer than 20 interactions per user"
    assert long["weight_decay"] == "data: fewer than 100,000 interactions"
    assert short["dim"] == "default"


def test_a_saved_recommender_keeps_the_sources(data: Dataset, tmp_path: Path) -> None:
    fitted = tfllmrec.Ease(l2=7.0).fit(data)
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(tfllmrec.load_model(tmp_path).explain_config(), fitted.explain_config())
