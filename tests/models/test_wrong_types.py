"""A wrong type in any argument of a call raises one sentence that names the call, the argument, and what to pass."""

import re
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest

from tfllmrec import BertRanker, Cascade, CrossEncoder, InputError, MultiTask, Popularity, TwoTower, load_model
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.export import export
from tfllmrec.models.registry import model_class
from tfllmrec_client import AsyncClient, Client

Call = Callable[..., Any]

DATASET, TARGETS = "pass a Dataset, such as split.train", "pass Targets, such as split.validation or split.test"
NUMBER, PATH, TEXT = "pass a whole number", "pass a path as a string or a pathlib.Path", "pass a string"
CALLBACKS, VERBOSE, PART = "pass a list of Keras", "pass 'auto', 0, 1 or 2", "pass the name of a family, or a"
SECONDS, SERVERS = "pass a number of seconds above 0", "pass 'host:port', or a list of such strings"

TABLE = pd.DataFrame({"user_id": ["u"]})
NOT_COUNTS: tuple[Any, ...] = ("10", 2.5, True, None, [3], np.float32(3))
NOT_PATHS: tuple[Any, ...] = (5, None, ["a"], b"a")
NOT_DATA: tuple[Any, ...] = (TABLE, 5, "train", [1])

CALLS: list[tuple[str, Call, tuple[Any, ...], str]] = [
    ("fit: train", lambda a, value: Popularity().fit(value), (*NOT_DATA, None), DATASET),
    ("fit: validation", lambda a, value: a.fit(value), NOT_DATA, TARGETS),
    ("fit: callbacks", lambda a, value: a.fit(callbacks=value), (5, True), CALLBACKS),
    ("fit: an entry of callbacks", lambda a, value: a.fit(callbacks=value), ([5], "early", {1: 2}), CALLBACKS),
    ("fit: verbose", lambda a, value: a.fit(verbose=value), ("loud", 3, None, [1], 0.5), VERBOSE),
    ("fit: backup", lambda a, value: a.fit(backup=value), (5, True, ["a"]), PATH),
    ("recommend: k", lambda a, value: a.model.recommend(["u1"], k=value), NOT_COUNTS, NUMBER),
    (
        "recommend: exclude_seen",
        lambda a, value: a.model.recommend(["u1"], exclude_seen=value),
        ("no", 0, None),
        "pass True or False",
    ),
    ("similar_items: k", lambda a, value: a.model.similar_items(["item0"], k=value), NOT_COUNTS, NUMBER),
    ("evaluate: targets", lambda a, value: a.model.evaluate(value), NOT_DATA, TARGETS),
    ("evaluate: k", lambda a, value: a.model.evaluate(a.targets, value), NOT_COUNTS, NUMBER),
    ("rank_targets: targets", lambda a, value: a.model.rank_targets(value), NOT_DATA, TARGETS),
    ("rank_targets: k", lambda a, value: a.model.rank_targets(a.targets, value), NOT_COUNTS, NUMBER),
    ("predict_ratings: targets", lambda a, value: MultiTask().predict_ratings(value), NOT_DATA, TARGETS),
    ("predict_ratings: targets", lambda a, value: BertRanker().predict_ratings(value), NOT_DATA, TARGETS),
    ("predict_ratings: targets", lambda a, value: CrossEncoder().predict_ratings(value), NOT_DATA, TARGETS),
    ("like_chances: targets", lambda a, value: MultiTask().like_chances(value), NOT_DATA, TARGETS),
    ("interest_scores: targets", lambda a, value: MultiTask().interest_scores(value), NOT_DATA, TARGETS),
    ("expert_use: targets", lambda a, value: MultiTask().expert_use(value), NOT_DATA, TARGETS),
    ("evaluate_tasks: data", lambda a, value: MultiTask().evaluate_tasks(value, a.targets), NOT_DATA, DATASET),
    ("evaluate_tasks: targets", lambda a, value: MultiTask().evaluate_tasks(a.data, value), NOT_DATA, TARGETS),
    ("with_items: items", lambda a, value: a.model.with_items(value), ([{"item_id": "a"}], None, 5), "pass a pandas"),
    ("next_items: k", lambda a, value: a.model.next_items([["item0"]], k=value), NOT_COUNTS, NUMBER),
    ("save: folder", lambda a, value: a.model.save(value), NOT_PATHS, PATH),
    ("load: folder", lambda a, value: Popularity.load(value), NOT_PATHS, PATH),
    ("load_model: folder", lambda a, value: load_model(value), NOT_PATHS, PATH),
    ("export: recommender", lambda a, value: export(value, "a"), ("run", None, Popularity), "pass a fitted one, or"),
    ("export: folder", lambda a, value: export(a.model, value), NOT_PATHS, PATH),
    ("export: version", lambda a, value: export(a.model, "a", version=value), ("1", 1.0, True), NUMBER),
    ("export: top_k", lambda a, value: export(a.model, "a", top_k=value), NOT_COUNTS, NUMBER),
    ("export: validation", lambda a, value: export(a.model, "a", validation=value), NOT_DATA, TARGETS),
    ("export: facts", lambda a, value: export(a.model, "a", facts=value), ("a", [1]), "pass a dictionary of texts"),
    ("export: name", lambda a, value: export(a.model, "a", name=value), (5, ["a"]), TEXT),
    ("export: target", lambda a, value: export(a.model, "a", target=value), (5, ["cpu"]), TEXT),
    ("export: precision", lambda a, value: export(a.model, "a", precision=value), (5, ["float32"]), TEXT),
    ("export: index", lambda a, value: export(a.model, "a", index=value), (5, ["exact"]), TEXT),
    ("popularity: config", lambda a, value: Popularity(config=value), (5, {}, TwoTower.config_class()), "pass a "),
    ("two_tower: options", lambda a, value: TwoTower.from_options(value), (5, "a", [1]), "pass a dictionary"),
    ("cascade: retrievers", lambda a, value: Cascade(retrievers=value), (5, True), "pass a list of families and"),
    ("cascade: a part", lambda a, value: Cascade(retrievers=[value]), (5, None, Popularity), PART),
    ("cascade: a part", lambda a, value: Cascade(ranker=value), (5, Popularity), PART),
]


@pytest.fixture(scope="module")
def available(data: Dataset) -> SimpleNamespace:
    """Return what the calls use."""
    targets, fit = leave_one_out(data).test, partial(Popularity().fit, data)
    return SimpleNamespace(data=data, targets=targets, fit=fit, model=Popularity().fit(data))


@pytest.mark.parametrize(("argument", "call", "values", "advice"), CALLS)
def test_wrong_types_are_refused(
    available: SimpleNamespace, argument: str, call: Call, values: tuple[Any, ...], advice: str
) -> None:
    for value in values:
        with pytest.raises(InputError, match=rf"^{argument} is [^\n]*; {re.escape(advice)}[^\n]*$"):
            call(available, value)


def test_a_data_set_or_a_split_is_not_targets(available: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=f"^fit: validation is of type Dataset; {TARGETS}$"):
        available.fit(available.data)
    with pytest.raises(InputError, match=f"^evaluate: targets is of type Split; {TARGETS}$"):
        available.model.evaluate(leave_one_out(available.data))


def test_right_types_are_accepted(available: SimpleNamespace, data: Dataset) -> None:
    """Numbers of NumPy are numbers, and None stands for no callbacks."""
    model = available.fit(callbacks=None, verbose=True)
    assert len(model.recommend(["u1"], k=np.int64(2), exclude_seen=np.bool_(True))) == 2
    subset = list(range(1, 1 + len(data.items)))
    assert model.evaluate(available.targets, np.int32(3), item_subset=subset) == model.evaluate(available.targets, 3)


@pytest.mark.parametrize("subset", [["item0"], 5, [1.5], [[1]], "all"])
def test_an_item_subset_has_indices(available: SimpleNamespace, subset: Any) -> None:
    with pytest.raises(InputError, match=r"^evaluate: item_subset must be an array of indices of rank 1; look"):
        available.model.evaluate(available.targets, item_subset=subset)
    with pytest.raises(InputError, match=r"^evaluate: item_subset has 99, which is not an index; they are 1"):
        available.model.evaluate(available.targets, item_subset=[99])


@pytest.mark.parametrize(
    ("users", "histories"),
    [(["u1"], [[1]]), ([1], [["item0"]]), ([1], [1]), (1, [[1]]), ([1, 2], [[1], [2, 3]])],
)
def test_scores_read_indices(available: SimpleNamespace, users: Any, histories: Any) -> None:
    with pytest.raises(InputError, match=r"^score: (users|histories) must be an array of indices"):
        available.model.score(users, histories)


@pytest.mark.parametrize(("users", "histories"), [([99], [[1]]), ([-1], [[1]]), ([1], [[1, 99]])])
def test_indices_out_of_range_are_refused(available: SimpleNamespace, users: Any, histories: Any) -> None:
    with pytest.raises(InputError, match=r"^score: (users|histories) has (99|-1), which is not an index; they are 0"):
        available.model.score(users, histories)


@pytest.mark.parametrize("options", [{"epochs": True}, {"learning_rate": True}, {"seed": False}, {"loss": True}])
def test_numbers_are_not_true_or_false(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^option (.*)=(True|False): input should not be True or False$"):
        TwoTower(**options)
    assert TwoTower(content=False, epochs=np.int64(3), dropout=np.float32(0.5)).config is None


@pytest.mark.parametrize("name", [5, None, [], {}])
def test_a_family_is_a_name(name: Any) -> None:
    with pytest.raises(InputError, match=r"^unknown family "):
        model_class(name)


CLIENT: dict[str, tuple[tuple[Any, ...], str]] = {
    "server": ((5, None, [5], [None]), SERVERS),
    "model": ((5, None, ["films"]), "pass the name of a model"),
    "version": (("1", 1.0, True), NUMBER),
    "label": ((5, ["stable"]), "pass a string"),
    "timeout": (("5", None, True, 0, -1, float("nan"), float("inf")), SECONDS),
    "credentials": (("key", 5, grpc.ssl_server_credentials), "pass those of grpc.ssl_channel_credentials"),
}


@pytest.mark.parametrize("cls", [Client, AsyncClient])
@pytest.mark.parametrize("name", CLIENT)
def test_wrong_arguments_of_a_client_are_refused(cls: type, name: str) -> None:
    values, advice = CLIENT[name]
    for value in values:
        with pytest.raises(InputError, match=rf"^client: {name} is [^\n]*; {advice}[^\n]*$"):
            cls(**{"server": "localhost:1", "model": "films", name: value})


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda client: client.recommend(["u"], k="10"), "recommend: k is '10'; pass a whole number"),
        (lambda client: client.recommend(["u"], k=2.5), "recommend: k is 2.5; pass a whole number"),
        (lambda client: client.next_items([["a"]], k=True), "next_items: k is True; pass a whole number"),
        (lambda client: client.similar_items(["a"], k=None), "similar_items: k is None; pass a whole number"),
        (lambda client: client.predict(5, {}), "predict: signature is 5; pass the name of a signature"),
        (lambda client: client.recommend(["u"], timeout="5"), f"client: timeout is '5'; {SECONDS}"),
        (lambda client: client.status(timeout=-1), f"client: timeout is -1; {SECONDS}"),
    ],
)
def test_wrong_arguments_of_client_calls_are_refused(call: Call, sentence: str) -> None:
    with Client("localhost:1", "films") as client, pytest.raises(InputError) as error:
        call(client)
    assert str(error.value) == sentence
