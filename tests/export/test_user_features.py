"""Exports of models with user features return the recommender's results in the C++ runtime."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from assertions import LOWEST, assert_matches_scores, assert_matches_table, assert_same_items, padded
from small_data import COLD, EVERYTHING, GREEDY, ITEMS, small_data
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
REQUESTS = {
    "known user": ("用户3", [], [], []),
    "known user, other features": ("用户3", [], [], [BEIJING, "age=40"]),
    "known user, unknown features": ("用户3", ["item1"], [], ["age=7", "", "city=北京"]),
    "known user without features": (GREEDY, [], [], []),
    "known user without features, feature": (GREEDY, [], [], [SHANGHAI]),
    "unknown user": ("unknown", ["item1", "电影一"], ["item7"], ["age=18", BEIJING]),
    "unknown user, one feature": ("unknown", ["item1", "电影一"], ["item7"], ["age=18"]),
    "features": ("", [], [], [SHANGHAI, "age=25"]),
    "city": ("", [], [], [BEIJING]),
    "age": ("", [], [], ["age=40"]),
    "empty": ("", [], [], []),
    "only padding": ("", ["", ""], [""], ["", "", ""]),
    "padding at the start and in the middle": ("", ["item1"], [], ["", BEIJING, "", "age=25"]),
    "some unknown features": ("", ["item1"], [], ["x", BEIJING, "age=", "age=25", "城市=x"]),
    "reverse order": ("", ["item1"], [], ["age=25", BEIJING]),
    "two cities": ("", ["item1"], [], [BEIJING, SHANGHAI]),
    "more features than columns": ("", ["item1"], [], [SHANGHAI, "age=18", BEIJING, "age=25"]),
    "one item remains": (GREEDY, [], ["item7"], [BEIJING]),
    "no items remain": (EVERYTHING, [], [COLD], [BEIJING]),
}
"""User, history, exclusions and features by case."""
EQUAL = [
    ("empty", "age", "only padding"),
    ("reverse order", "padding at the start and in the middle", "some unknown features", "more features than columns"),
]
"""Cases with equal scores."""
DIFFERENT = [
    ("known user", "known user, other features"),
    ("known user without features", "known user without features, feature"),
    ("unknown user", "unknown user, one feature"),
    ("features", "city"),
    ("features", "empty"),
]
"""Pairs of cases with different scores."""


@pytest.fixture(scope="module")
def data_with_features(runtime):  # the runtime starts in the background meanwhile
    """The data set with two cities and three ages; one user has empty features, and one has no row."""
    users = pd.DataFrame({"user_id": [EVERYTHING, *(f"用户{number}" for number in range(18))]})
    users["城市"] = [None, *["北京", "上海"] * 9]
    users["age"] = [None, *[18, 25, 40] * 6]
    return replace(small_data(), users=users)


@pytest.fixture(scope="module")
def exported(data_with_features, tmp_path_factory):
    """Recommenders and the paths of their exports, by family."""
    folder, exports = tmp_path_factory.mktemp("models"), {}
    for family, options in OPTIONS.items():
        recommender = model_class(family)(history_length=4, **options).fit(data_with_features, verbose=0)
        exports[family] = recommender, export(recommender, folder / family)
    return exports


@pytest.fixture(params=OPTIONS)
def family(request):
    return request.param


@pytest.fixture
def retrieve(runtime, exported, family):
    """Runs `retrieve_with_features` on requests."""

    def retrieve(requests, width=0):
        users, *columns = zip(*requests, strict=True)
        rows = dict(zip(("history", "exclude_item_ids", "user_features"), columns, strict=True))
        inputs = {name: padded(values, width) for name, values in rows.items()}
        return runtime.run(exported[family][1], "retrieve_with_features", user_id=users, **inputs)

    return retrieve


def test_every_signature_runs(runtime, exported, family, data_with_features):
    path = exported[family][1]
    statuses = runtime.check(path)
    assert set(statuses.values()) == {"ok"}, statuses
    assert set(statuses) == SIGNATURES | (VECTORS if family == "two_tower" else set())
    without_features = model_class("popularity")().fit(data_with_features)
    expected = {"serving_default", "retrieve", "retrieve_ids", "rank", "rank_ids"}
    assert set(Servable(without_features).signatures()) == expected


def test_results_match_recommend(exported, family, retrieve):
    outputs = retrieve(REQUESTS.values())
    users, histories, exclude, features = zip(*REQUESTS.values(), strict=True)
    table = exported[family][0].recommend(users, histories, 100, exclude=exclude, user_features=features)
    assert_matches_table(outputs, table, REQUESTS, len(ITEMS))


def test_scores_follow_the_rules(retrieve, data_with_features):
    """Check the rules for features on their own, without the recommender's results."""
    scores = dict(zip(REQUESTS, retrieve(REQUESTS.values())["scores"], strict=True))
    for first, *others in EQUAL:
        for other in others:
            np.testing.assert_allclose(scores[other], scores[first], rtol=1e-5, atol=1e-6)
    for first, second in DIFFERENT:
        assert np.abs(scores[first][:5] - scores[second][:5]).max() > 1e-3, (first, second)
    interactions = data_with_features.interactions
    cities = interactions["user_id"].map(data_with_features.users.set_index("user_id")["城市"])
    counts = interactions["item_id"].value_counts().reindex(ITEMS, fill_value=0)
    for case, city in (("features", "上海"), ("city", "北京")):
        in_city = interactions.loc[cities == city, "item_id"].value_counts().reindex(ITEMS, fill_value=0)
        expected = np.log1p(in_city + 1000 * counts / counts.sum())
        np.testing.assert_allclose(scores[case], sorted(expected, reverse=True), rtol=1e-5)


def test_stored_features_are_the_default(runtime, exported, family, retrieve):
    """Compare requests without features with `retrieve` and with requests that repeat the stored features."""
    requests = [(user, history, ["item2"], []) for user in ("用户3", "用户4", "unknown") for history in ([], ["item1"])]
    users, histories, exclude, _ = zip(*requests, strict=True)
    inputs = {"user_id": users, "history": padded(histories), "exclude_item_ids": exclude}
    assert_same_items(runtime.run(exported[family][1], "retrieve", **inputs), retrieve(requests))
    outputs = retrieve([("用户3", ["item1"], [], [SHANGHAI, "age=18"]), ("用户3", ["item1"], [], [])])
    assert_same_items(*({name: values[row : row + 1] for name, values in outputs.items()} for row in (0, 1)))


def test_padding_and_other_rows_do_not_change_results(retrieve):
    batch = retrieve(REQUESTS.values())
    assert_same_items(retrieve(REQUESTS.values(), width=33), batch)
    leading = [(user, *(["", *row] for row in rows)) for user, *rows in REQUESTS.values()]
    assert_same_items(retrieve(leading), batch)
    for row, request in enumerate(REQUESTS.values()):
        assert_same_items(retrieve([request]), {name: values[row : row + 1] for name, values in batch.items()})


def test_empty_batch_returns_no_rows(runtime, exported, family):
    names = ("history", "exclude_item_ids", "user_features")
    inputs = {"user_id": [], **{name: np.empty((0, 0), object) for name in names}}
    outputs = runtime.run(exported[family][1], "retrieve_with_features", **inputs)
    assert outputs["item_ids"].shape == outputs["scores"].shape == (0, len(ITEMS))


def test_index_signature_uses_stored_features_and_ignores_unknown_indices(runtime, exported, family):
    recommender, path = exported[family]
    columns, count = len(recommender.fitted_data.features.columns), len(recommender.fitted_data.features.vocabulary)
    users, histories = [4, 4, 10**6, 0], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0], [3, 5, 0, 0]]
    features = np.array([[1, 3], [0, 0], [-1, 2], [2, 10**6]])[:, -columns:]
    exclude = [[0, 0], [1, -1], [10**6, 1], [1, 0]]
    outputs = runtime.run(
        path, "retrieve_with_features_ids", user=users, history=histories, exclude=exclude, user_features=features
    )
    users = np.array([4, 4, 0, 0], np.int32)
    histories = np.array([[0, 0, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0]], np.int32)
    known_features = np.where((features > 0) & (features <= count), features, 0).astype(np.int32)
    scores = recommender.score(users, histories, features=known_features).numpy()
    scores[:, 0] = scores[1:, 1] = LOWEST
    assert_matches_scores(outputs, scores, len(ITEMS))


def test_core_compiles(exported, family):
    """Compile the core alone and inside another compiled function."""
    recommender, random = exported[family][0], np.random.default_rng(0)
    columns, count = len(recommender.fitted_data.features.columns), len(recommender.fitted_data.features.vocabulary)
    plain, compiled = (Servable(recommender, 5, target=target).cores["best"].function for target in (CPU, GPU))
    inside = tf.function(plain, jit_compile=True)
    for rows in (1, 8):
        present = np.arange(4) < random.integers(0, 5, (rows, 1))
        histories = (random.integers(1, len(ITEMS) + 1, (rows, 4)) * present).astype(np.int32)
        users, exclude = (random.integers(0, 9, shape).astype(np.int32) for shape in ((rows,), (rows, 2)))
        features = random.integers(0, count + 1, (rows, columns)).astype(np.int32)
        inputs = {"user": users, "history": histories, "exclude": exclude, "user_features": features}
        items, scores = plain(inputs).values()
        for core in (compiled, inside):
            outputs = core(inputs)
            np.testing.assert_array_equal(outputs["items"], items)
            np.testing.assert_allclose(outputs["scores"], scores, rtol=1e-5, atol=1e-6)


def test_graph_has_no_unsafe_operations(exported, family):
    nodes = [*nodes_of(meta_graph(exported[family][1]).graph_def)]
    operations = {node.op for node in nodes}
    assert "TopKV2" in operations
    assert not {"Assert", "ResourceGather"} & operations


def test_card_and_warmup_describe_every_signature(exported, family):
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
    records = tf.data.TFRecordDataset(str(path / WARMUP_FILE))
    requests = [PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    matching = [request for request in requests if request.model_spec.signature_name == "retrieve_with_features"]
    arrays = [tf.make_ndarray(request.inputs["user_features"]) for request in matching]
    assert [array.shape for array in arrays] == [(rows, 2) for rows in CPU.batch_sizes]
    assert {value.decode() for array in arrays for value in array.flat} <= features
