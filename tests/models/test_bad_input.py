"""Invalid requests, options and folders raise one clear sentence, and no code from a folder is executed."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tfllmrec import BertRanker, Cascade, Ease, MarkovChain, Popularity, Recommender, TwoTower
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.base.config import Config
from tfllmrec.models.registry import FAMILIES, load_model, model_class


@pytest.fixture(scope="module")
def popularity(data: Dataset) -> Popularity:
    return Popularity().fit(data)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"users": ["u1"], "k": 0}, "k is 0, and must be at least 1"),
        ({"users": ["u1"], "k": -3}, "k is -3"),
        ({}, "give users, histories, or both"),
        ({"exclude": [["0"]]}, "give users, histories, or both"),
        ({"users": "u1"}, "users must be a list with one entry per row, not 'u1'"),
        ({"histories": "0"}, "histories must be a list with one entry per row, not '0'"),
        ({"histories": ["0", "1"]}, "histories must have a list of strings per row, not '0'"),
        ({"users": ["u1"], "exclude": ["0"]}, "exclude must have a list of strings per row, not '0'"),
        ({"users": ["u1", "u2"], "histories": [["0"]]}, r"the rows do not match \(2 users, 1 histories\)"),
        ({"histories": [["0"]], "exclude": []}, r"the rows do not match \(1 histories, 0 exclude\)"),
        ({"histories": [["0"], "1"]}, "histories must have a list of strings per row, not '1'"),
    ],
)
def test_invalid_requests_are_refused(popularity: Popularity, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        popularity.recommend(**arguments)
    assert str(error.value).startswith("recommend: ")
    assert "\n" not in str(error.value)


SEQUENCES = {
    "tuple": lambda rows: tuple(map(tuple, rows)),
    "array": lambda rows: np.array(rows, dtype=object),
    "series": lambda rows: pd.Series(rows, index=[7, 3]),
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_histories_may_be_any_sequence(popularity: Popularity, kind: str) -> None:
    histories = [["item0", "item1"], ["🎬🍿", "item2"]]
    expected = popularity.recommend(histories=histories)
    results = popularity.recommend(histories=SEQUENCES[kind](histories), exclude=SEQUENCES[kind](histories))
    pd.testing.assert_frame_equal(results, expected)


def test_users_may_be_a_column(popularity: Popularity) -> None:
    users = pd.Series(["小明", "u1"], index=[7, 3])
    pd.testing.assert_frame_equal(popularity.recommend(users), popularity.recommend(users.tolist()))


def test_families_are_found_by_name() -> None:
    assert all(model_class(name) is model_class(name) and model_class(name).family == name for name in FAMILIES)
    with pytest.raises(
        InputError,
        match="unknown family 'three_tower': choose one of popularity, markov_chain, ease, word2vec, two_tower",
    ):
        model_class("three_tower")


@pytest.mark.parametrize("name", FAMILIES)
def test_config_and_options_together_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: give either config or single options$"):
        model_class(name)(config=model_class(name).config_class(), seed=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^unknown option epoch5: choose one of history_length, seed"):
        model_class(name).from_options({"epoch5": 3})


@pytest.mark.parametrize("name", FAMILIES)
def test_unset_options_are_chosen_from_the_data(name: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = model_class(name)
    monkeypatch.setattr(cls, "_fit", lambda *_, **__: (None, {}))
    monkeypatch.setattr(cls, "_use", lambda *_: None)
    assert cls().fit(data).config == cls.config_class.for_data(data, {})
    config = cls(history_length=7).fit(data).config
    assert config == cls.config_class.for_data(data, {"history_length": 7})
    assert config.history_length == 7
    complete = cls.config_class(seed=5)
    assert cls(config=complete).fit(data).config is complete
    assert cls.config_class.from_options({}) == cls.config_class()


@pytest.mark.parametrize(
    ("cls", "option", "value"),
    [
        (Popularity, "history_length", 0),
        (Popularity, "history_length", 2.5),
        (Popularity, "seed", "one"),
        (Popularity, "seed", -1),
        (MarkovChain, "decay", 1),
        (MarkovChain, "recent_items", None),
        (MarkovChain, "transition_weights", "heavy"),
        (MarkovChain, "transition_weights", [float("nan")]),
        (Ease, "l2", 0),
        (Ease, "l2", float("nan")),
        (Ease, "l2", float("inf")),
        (TwoTower, "loss", "triplet"),
        (TwoTower, "dropout", 1.0),
        (TwoTower, "batch_size", -5),
        (TwoTower, "temperature", 0),
        (TwoTower, "user_vectors", "perhaps"),
        (TwoTower, "hard_negatives", 0),
        (TwoTower, "learning_rate", float("inf")),
        (BertRanker, "objective", "pairwise"),
        (BertRanker, "list_size", -1),
        (BertRanker, "max_validation_lists", -1),
        (BertRanker, "pooling_heads", 0),
        (BertRanker, "columns", 3),
        (BertRanker, "towers", "{"),
        (BertRanker, "towers", "[1]"),
        (BertRanker, "towers", 7),
        (Cascade, "candidates", 0),
        (Cascade, "ranked", "many"),
        (Cascade, "weights", "1,heavy"),
        (Cascade, "weights", [float("nan")]),
        (Cascade, "parts", "two_tower"),
        (Cascade, "parts", '{"ease": 3} more'),
    ],
)
def test_invalid_option_values_are_refused(cls: type[Recommender], option: str, value: Any, data: Dataset) -> None:
    with pytest.raises(InputError, match=rf"^option {option}\b.*=.*: .*") as error:
        cls.config_class.for_data(data, {option: value})
    assert "\n" not in str(error.value)


def test_text_is_parsed_as_the_type_of_the_option() -> None:
    config = TwoTower.config_class.from_options({"epochs": "7", "dropout": "0.5", "content": "false"})
    assert (config.epochs, config.dropout, config.content) == (7, 0.5, False)
    options = {"retrievers": "ease, two_tower,", "weights": "1, 0.5", "parts": '{"ease": {"l2": 3}}'}
    config = Cascade.config_class.from_options(options)
    assert (config.retrievers, config.weights, config.parts) == (("ease", "two_tower"), (1, 0.5), {"ease": {"l2": 3}})


def test_options_may_be_iterators(data: Dataset) -> None:
    names = ("ease", "markov_chain")
    expected = Cascade.config_class.from_options({"retrievers": names, "weights": (1, 0.5)})
    for make in (lambda options: Cascade(**options), Cascade.from_options):
        model = make({"retrievers": iter(names), "weights": map(float, ["1", "0.5"])})
        assert model.config_class.for_data(data, model._options) == expected


def test_configs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().seed = 1


@pytest.fixture
def saved(popularity: Popularity, tmp_path: Path) -> Path:
    popularity.save(tmp_path / "run")
    return tmp_path / "run"


def describe(saved: Path, **changes: Any) -> None:
    path = saved / "recommender.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def described_as(**changes: Any) -> Callable[[Path], object]:
    return lambda saved: describe(saved, **changes)


def rewritten(text: str) -> Callable[[Path], object]:
    return lambda saved: (saved / "recommender.json").write_text(text, encoding="utf-8")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda saved: shutil.rmtree(saved), "holds no saved recommender"),
    "no description": (lambda saved: (saved / "recommender.json").unlink(), "recommender.json is missing or damaged"),
    "truncated JSON": (rewritten('{"format": 2, '), "recommender.json is missing or damaged"),
    "JSON list": (rewritten("[1, 2]"), "recommender.json is missing or damaged"),
    "binary description": (
        lambda saved: (saved / "recommender.json").write_bytes(b"\xff\xfe\x00"),
        "is missing or damaged",
    ),
    "no format": (rewritten('{"family": "popularity"}'), "recommender.json is missing or damaged"),
    "another format": (lambda saved: describe(saved, format=99), "has format 99; this version .* reads format 2"),
    "unknown family": (lambda saved: describe(saved, family="three_tower"), "unknown family 'three_tower'"),
    "unknown option": (lambda saved: describe(saved, config={"bogus": 1}), "unknown option bogus"),
    "no family": (rewritten('{"format": 2, "config": {}, "sources": {}}'), "is missing or damaged"),
    "no config": (rewritten('{"format": 2, "family": "popularity", "sources": {}}'), "is missing or damaged"),
    "no sources": (rewritten('{"format": 2, "family": "popularity", "config": {}}'), "is missing or damaged"),
    "family is a list": (described_as(family=["ease"]), "is missing or damaged"),
    "config is a list": (described_as(config=[3]), "is missing or damaged"),
    "sources is a list": (described_as(sources=[3]), "is missing or damaged"),
    "other items": (lambda saved: pd.DataFrame({"id": ["1"]}).to_parquet(saved / "items.parquet"), "items.parquet"),
    "no items": (lambda saved: (saved / "items.parquet").unlink(), "items.parquet"),
    "no model": (lambda saved: (saved / "model.keras").unlink(), "model.keras"),
    "damaged model": (lambda saved: (saved / "model.keras").write_bytes(b"PK\x03\x04"), "model.keras"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_folders_are_refused(saved: Path, damage: str) -> None:
    apply, sentence = DAMAGE[damage]
    apply(saved)
    with pytest.raises(InputError, match=sentence) as error:
        load_model(saved)
    assert "\n" not in str(error.value)


def test_a_folder_of_another_family_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="holds a popularity, not a ease"):
        Ease.load(saved)


class Trap:
    """Create a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_is_never_loaded(saved: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "items.parquet", "users.parquet", "recommender.json"):
        content = (saved / name).read_bytes()
        (saved / name).write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
        with pytest.raises(InputError, match=name):
            load_model(saved)
        (saved / name).write_bytes(content)
    assert not (tmp_path / "mark").exists()


def test_a_lambda_layer_is_never_executed(saved: Path) -> None:
    history = keras.Input((4,), dtype="int32", name="history")
    user = keras.Input((), dtype="int32", name="user")
    scores = keras.layers.Lambda(lambda items: keras.ops.cast(items, "float32"))(history)
    keras.Model({"user": user, "history": history}, scores).save(saved / "model.keras")
    with pytest.raises(InputError, match=r"model\.keras") as error:
        load_model(saved)
    assert "`Lambda` layer" in str(error.value.__cause__)  # not a missing weight


def test_calls_before_fit_are_refused(tmp_path: Path) -> None:
    for call in (lambda model: model.recommend(["u"]), lambda model: model.save(tmp_path / "run")):
        with pytest.raises(InputError, match="this popularity is not fitted; call fit first"):
            call(Popularity())
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("untrained")
def test_refit_config_requires_validation_targets(data: Dataset) -> None:
    model = TwoTower(epochs=1, dim=4, hidden_units=4).fit(data, verbose=0)
    with pytest.raises(
        InputError, match=r"^fit: without validation targets the best number of epochs is unknown; give"
    ):
        model.refit_config()


def test_a_second_fit_chooses_options_from_its_own_data(data: Dataset) -> None:
    model = Ease().fit(data)
    longest = model.config.history_length
    assert model.fit(data.keep(data.user_indices > 1)).config.history_length < longest
