"""Exports of models that read users' features: in the C++ runtime they answer as the recommender does."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from answers import LOWEST, assert_are_of, assert_same, padded
from small_data import GREEDY, ITEMS, small_data
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfllmrec.export import Servable, export
from tfllmrec.export.card import signatures_of
from tfllmrec.export.saved_model import meta_graph, nodes_of
from tfllmrec.export.target import CPU, GPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.models.registry import model_class
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay

OPTIONS = {
    "two_tower": {"user_features": "城市,age", "segment": "城市", "dim": 8, "hidden_units": 8, "epochs": 1},
    "popularity": {"segment": "城市"},
}
SIGNATURES = {
    *("serving_default", "retrieve", "retrieve_ids", "rank", "rank_ids"),
    *("retrieve_with_options", "retrieve_with_options_ids", "retrieve_with_features", "retrieve_with_features_ids"),
}
VECTORS = {"embed_query", "embed_items", "similar_items"}
BEIJING, SHANGHAI = "城市=北京", "城市=上海"
QUESTIONS = {
    "known user": ("用户3", [], [], []),
    "known user of whom other things are told": ("用户3", [], [], [BEIJING, "age=40"]),
    "known user of whom nothing that is known is told": ("用户3", ["item1"], [], ["age=7", "", "city=北京"]),
    "known user without features": (GREEDY, [], [], []),
    "known user without features, now with one": (GREEDY, [], [], [SHANGHAI]),
    "new user": ("nobody", ["item1", "电影一"], ["item7"], ["age=18", BEIJING]),
    "new user with one feature": ("nobody", ["item1", "电影一"], ["item7"], ["age=18"]),
    "nothing but features": ("", [], [], [SHANGHAI, "age=25"]),
    "nothing but another's": ("", [], [], [BEIJING]),
    "nothing but an age": ("", [], [], ["age=40"]),
    "nothing": ("", [], [], []),
    "nothing but nothing": ("", ["", ""], [""], ["", "", ""]),
    "nothing in front and between": ("", ["item1"], [], ["", BEIJING, "", "age=25"]),
    "unknown ones between": ("", ["item1"], [], ["x", BEIJING, "age=", "age=25", "城市=x"]),
    "the other way round": ("", ["item1"], [], ["age=25", BEIJING]),
    "two cities": ("", ["item1"], [], [BEIJING, SHANGHAI]),
    "too many": ("", ["item1"], [], [SHANGHAI, "age=18", BEIJING, "age=25"]),
    "one left": (GREEDY, [], ["item7"], [BEIJING]),
    "none left": ("everything", [], [], [BEIJING]),
}
ALIKE = [
    ("nothing", "nothing but an age", "nothing but nothing"),
    ("the other way round", "nothing in front and between", "unknown ones between", "too many"),
]
UNLIKE = [
    ("known user", "known user of whom other things are told"),
    ("known user without features", "known user without features, now with one"),
    ("new user", "new user with one feature"),
    ("nothing but features", "nothing but another's"),
    ("nothing but features", "nothing"),
]


@pytest.fixture(scope="module")
def told(runtime):  # which starts in the background meanwhile
    """Two cities and three ages; two users have none, and one has no row."""
    users = pd.DataFrame({"user_id": ["everything", *(f"用户{number}" for number in range(18))]})
    users["城市"] = [None, *["北京", "上海"] * 9]
    users["age"] = [None, *[18, 25, 40] * 6]
    return replace(small_data(), users=users)


@pytest.fixture(scope="module")
def exported(told, tmp_path_factory):
    """Recommenders and their exports by family."""
    folder = tmp_path_factory.mktemp("models")
    options = {family: {"history_length": 4} | chosen for family, chosen in OPTIONS.items()}
    fitted = {family: model_class(family)(**chosen).fit(told, verbose=0) for family, chosen in options.items()}
    return {family: (one, export(one, folder / family)) for family, one in fitted.items()}


@pytest.fixture(params=OPTIONS)
def family(request):
    return request.param


@pytest.fixture
def ask(runtime, exported, family):
    """What `retrieve_with_features` answers to questions."""

    def ask(questions, width=0):
        users, *others = zip(*questions, strict=True)
        rows = dict(zip(("history", "exclude_item_ids", "user_features"), others, strict=True))
        inputs = {name: padded(given, width) for name, given in rows.items()}
        return runtime.run(exported[family][1], "retrieve_with_features", user_id=users, **inputs)

    return ask


def test_every_signature_runs(runtime, exported, family, told):
    path = exported[family][1]
    found = runtime.check(path)
    assert set(found.values()) == {"ok"}, found
    assert set(found) == SIGNATURES | (VECTORS if family == "two_tower" else set())
    plain = model_class("popularity")().fit(told)
    assert set(Servable(plain).signatures()) == {*("serving_default", "retrieve", "retrieve_ids", "rank", "rank_ids")}


def test_answers_are_the_recommenders(exported, family, ask):
    answers = ask(QUESTIONS.values())
    users, histories, exclude, features = zip(*QUESTIONS.values(), strict=True)
    table = exported[family][0].recommend(users, histories, 100, exclude=exclude, user_features=features)
    assert_are_of(table, answers, QUESTIONS, len(ITEMS))


def test_the_rules_hold_by_themselves(ask, told):
    """Not only as the recommender has them."""
    answers = dict(zip(QUESTIONS, ask(QUESTIONS.values())["scores"], strict=True))
    for first, *others in ALIKE:
        for question in others:
            np.testing.assert_allclose(answers[question], answers[first], rtol=1e-5, atol=1e-6)
    for one, other in UNLIKE:
        assert np.abs(answers[one][:5] - answers[other][:5]).max() > 1e-3, (one, other)
    cities = told.interactions["user_id"].map(told.users.set_index("user_id")["城市"])
    counts = told.interactions["item_id"].value_counts()
    for question, city in (("nothing but features", "上海"), ("nothing but another's", "北京")):
        own = told.interactions.loc[cities == city, "item_id"].value_counts().reindex(ITEMS, fill_value=0)
        expected = np.log1p(own + 1000 * counts / counts.sum())
        np.testing.assert_allclose(answers[question], sorted(expected, reverse=True), rtol=1e-5)


def test_without_told_features_the_stored_ones_count(runtime, exported, family, ask):
    """As in `retrieve`."""
    questions = [(user, history, ["item2"], []) for user in ("用户3", "用户4", "nobody") for history in ([], ["item1"])]
    users, histories, exclude, _ = zip(*questions, strict=True)
    inputs = {"user_id": users, "history": padded(histories), "exclude_item_ids": exclude}
    assert_same(runtime.run(exported[family][1], "retrieve", **inputs), ask(questions))
    stored = ask([("用户3", ["item1"], [], [SHANGHAI, "age=18"]), ("用户3", ["item1"], [], [])])
    assert_same(*({name: values[row : row + 1] for name, values in stored.items()} for row in (0, 1)))


def test_padding_and_neighbours_change_nothing(ask):
    together = ask(QUESTIONS.values())
    assert_same(ask(QUESTIONS.values(), width=33), together)
    leading = [(user, *(["", *row] for row in rows)) for user, *rows in QUESTIONS.values()]
    assert_same(ask(leading), together)
    for row, question in enumerate(QUESTIONS.values()):
        assert_same(ask([question]), {name: values[row : row + 1] for name, values in together.items()})


def test_an_empty_batch(runtime, exported, family):
    names = ("history", "exclude_item_ids", "user_features")
    inputs = {"user_id": [], **{name: np.empty((0, 0), object) for name in names}}
    answer = runtime.run(exported[family][1], "retrieve_with_features", **inputs)
    assert answer["item_ids"].shape == answer["scores"].shape == (0, len(ITEMS))


def test_the_core_alone(runtime, exported, family):
    """It reads nothing stored but features, and indices that do not exist are nothing."""
    recommender, path = exported[family]
    columns, count = len(recommender.fitted_data.features.columns), len(recommender.fitted_data.features.vocabulary)
    users, histories = [4, 4, 10**6, 0], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0], [3, 5, 0, 0]]
    given = np.array([[1, 3], [0, 0], [-1, 2], [2, 10**6]])[:, -columns:]
    exclude = [[0, 0], [1, -1], [10**6, 1], [1, 0]]
    answer = runtime.run(
        path, "retrieve_with_features_ids", user=users, history=histories, exclude=exclude, user_features=given
    )
    users = np.array([4, 4, 0, 0], np.int32)
    histories = np.array([[0, 0, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0]], np.int32)
    known = np.where((given > 0) & (given <= count), given, 0).astype(np.int32)
    expected = recommender.score(users, histories, features=known).numpy()
    expected[:, 0] = expected[1:, 1] = LOWEST
    order = np.argsort(-expected, axis=1, kind="stable")[:, : len(ITEMS)]
    left = np.take_along_axis(expected, order, axis=1)
    assert answer["items"].tolist() == np.where(left == LOWEST, 0, order).tolist()
    np.testing.assert_allclose(answer["scores"], left, rtol=1e-5, atol=1e-6)


def test_the_core_compiles(exported, family):
    """By itself and inside another compiled function; with features and without."""
    recommender, random = exported[family][0], np.random.default_rng(0)
    columns, count = len(recommender.fitted_data.features.columns), len(recommender.fitted_data.features.vocabulary)
    plain, compiled = (Servable(recommender, 5, target=target).cores["best"].function for target in (CPU, GPU))
    inside = tf.function(plain, jit_compile=True)
    for rows in (1, 8):
        kept = np.arange(4) < random.integers(0, 5, (rows, 1))
        histories = (random.integers(1, len(ITEMS) + 1, (rows, 4)) * kept).astype(np.int32)
        users, exclude = (random.integers(0, 9, shape).astype(np.int32) for shape in ((rows,), (rows, 2)))
        given = random.integers(0, count + 1, (rows, columns)).astype(np.int32)
        inputs = {"user": users, "history": histories, "exclude": exclude, "user_features": given}
        items, scores = plain(inputs).values()
        for core in (compiled, inside):
            found = core(inputs)
            np.testing.assert_array_equal(found["items"], items)
            np.testing.assert_allclose(found["scores"], scores, rtol=1e-5, atol=1e-6)


def test_the_graph_keeps_clear_of_traps(exported, family):
    nodes = [*nodes_of(meta_graph(exported[family][1]).graph_def)]
    operations = {node.op for node in nodes}
    assert "TopKV2" in operations
    assert not {"Assert", "ResourceGather"} & operations


def test_card_and_warm_up_know_the_signatures(exported, family):
    recommender, path = exported[family]
    card = (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (.*)$", card, re.MULTILINE)) == sorted(signatures_of(path))
    section = card.split("### retrieve_with_features\n")[1].split("##")[0]
    assert "| in | `user_features` | string | [B, ?] |" in section
    columns = len(recommender.fitted_data.features.columns)
    section = card.split("### retrieve_with_features_ids\n")[1].split("##")[0]
    assert f"| in | `user_features` | int32 | [B, {columns}] |" in section

    model, features = ServedModel(path), set(recommender.fitted_data.features.vocabulary.tokens[1:])
    assert replay(model) == len(signatures_of(path)) * len(CPU.batch_sizes)
    assert {name for name, _ in model._calls} == set(signatures_of(path))
    logs = [PredictionLog.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(path / WARMUP_FILE))]
    requests = [log.predict_log.request for log in logs]
    asked = [one for one in requests if one.model_spec.signature_name == "retrieve_with_features"]
    given = [tf.make_ndarray(request.inputs["user_features"]) for request in asked]
    assert [array.shape for array in given] == [(rows, 2) for rows in CPU.batch_sizes]
    assert {one.decode() for array in given for one in array.flat} <= features
