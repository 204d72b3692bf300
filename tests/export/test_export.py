"""The version folder: what is in it, what is refused, and that the check of exports can fail."""

import json
import logging
import re

import numpy as np
import pytest
import tensorflow as tf
from small_data import GREEDY, ITEMS

from tfllmrec.errors import InputError
from tfllmrec.export import Servable, export
from tfllmrec.export.card import signatures_of
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.saved_model import meta_graph, nodes_of
from tfllmrec.export.target import CPU, GPU
from tfllmrec.layers.item_to_item import DenseItemToItem, item_to_item_model
from tfllmrec.models.baselines.popularity import Popularity
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay


def card_of(path):
    return (path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")


# ---- what is in it


def test_the_graph_keeps_clear_of_traps(exported):
    operations = {node.op for node in nodes_of(meta_graph(exported.path).graph_def)}
    assert "TopKV2" in operations
    checks = {node.name for node in nodes_of(meta_graph(exported.path).graph_def) if node.op == "Assert"}
    assert not {name for name in checks if "Ragged" not in name}  # but TensorFlow Text's: bad rows fail no neighbours
    assert "ResourceGather" not in operations  # it makes every dense read of its variable a copy
    assert not {operation for operation in operations if "cudnn" in operation.lower()}  # servers may have no GPU


def test_small_matrices_are_not_worth_their_rounding():
    for items, dtype in ((62, tf.float32), (63, tf.bfloat16)):
        model = item_to_item_model(DenseItemToItem(items), np.zeros(items + 1), 3)
        assert {one.dtype for one in StoredWeights([model], "bfloat16").variables if one.shape.rank == 2} == {dtype}


def test_nothing_is_stored_twice(exported):
    recommender, fitted_data = exported.recommender, exported.recommender.fitted_data
    models = recommender.built.all_served
    weights = {id(variable): np.prod(variable.shape) for model in models for variable in model.variables}
    stored = len(fitted_data.histories.values) + 1 + len(fitted_data.histories.offsets)
    strings = 2 * (len(fitted_data.items) + 1) + len(fitted_data.users) + 1
    norms = len(ITEMS) + 1 if recommender.index is not None and recommender.family != "cascade" else 0
    written = tf.train.list_variables(str(exported.path / "variables" / "variables"))
    sizes = [np.prod(shape) for name, shape in written if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert sum(sizes) == sum(weights.values()) + stored + strings + norms
    files = [
        path.read_bytes() for path in exported.path.rglob("*") if path.is_file() and "assets.extra" not in path.parts
    ]
    assert sum(content.count(GREEDY.encode()) for content in files) == 1
    assert sum(content.count("电影一".encode()) for content in files) == 2  # the id and the title


def test_the_card_tells_every_signature(exported):
    card = card_of(exported.path)
    signatures = signatures_of(exported.path)
    headings = re.findall(r"^### (.*)$", card, re.MULTILINE)
    assert sorted(headings) == sorted(signatures)
    assert headings[0] == next(iter(signatures)) == "serving_default"
    for name, signature in signatures.items():
        section = card.split(f"### {name}\n")[1].split("##")[0]
        assert set(re.findall(r"`(\w+)` \|", section)) == {*signature.inputs, *signature.outputs}
    assert f"| main signature | `{exported.recommender.main_signature}` |" in card
    assert f"# {exported.recommender.family}, version 1" in card
    assert "| `item_ids` | string | [B, 12] |" in card
    assert "| config: history_length | 4 |" in card
    assert "| TF Serving | 2.20 or newer |" in card
    told = re.search(r"^A stock TF Serving links all operations: (.*)\.$", card, re.MULTILINE)
    functions = {function.signature.name for function in meta_graph(exported.path).graph_def.library.function}
    assert set(told[1].split(", ")) == {node.op for node in nodes_of(meta_graph(exported.path).graph_def)} - functions


def test_the_cards_example_works(runtime, exported):
    request = json.loads(card_of(exported.path).split("```json")[1].split("```")[0])
    answer = runtime.run(exported.path, request["signature_name"], **request["inputs"])
    assert answer["item_ids"].shape == (2, 12)


def test_the_core_has_no_strings(exported):
    servable = Servable(exported.recommender, 3)
    index, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 4], tf.int32)
    names = servable.declared[0].core.inputs
    specs = {given.argument: index if given.argument in ("user", "scenario") else rows for given in names}
    core = servable.cores["best"].function.get_concrete_function(specs).graph.as_graph_def()
    nodes = [*nodes_of(core)]
    assert not [node.op for node in nodes if "Lookup" in node.op or "String" in node.op]
    dtypes = {attr.type for node in nodes for attr in node.attr.values()}
    assert tf.string.as_datatype_enum not in dtypes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "sizes"),
    [("two_tower", (1, 8)), ("next_item", (1, 2, 4, 8, 16, 32))],
    ids=["two_tower", "next_item"],
)
def test_the_core_compiles_at_every_allowed_batch_size(exports, family, sizes):
    """By itself and inside another compiled function, which a server with XLA makes of it."""
    recommender, random = exports[family].recommender, np.random.default_rng(0)
    plain, compiled = (Servable(recommender, 5, target=target).cores["best"].function for target in (CPU, GPU))
    inside = tf.function(plain, jit_compile=True)
    for rows in sizes:
        kept = np.arange(4) < random.integers(0, 5, (rows, 1))
        histories = (random.integers(1, len(ITEMS) + 1, (rows, 4)) * kept).astype(np.int32)
        users, exclude = (random.integers(0, 3, shape).astype(np.int32) for shape in ((rows,), (rows, 2)))
        inputs = {"user": users, "history": histories, "exclude": exclude}
        items, scores = plain(inputs).values()
        assert len(np.unique(scores)) > rows  # so that a mix-up would be seen
        for core in (compiled, inside):
            found = core(inputs)
            np.testing.assert_array_equal(found["items"], items)
            np.testing.assert_allclose(found["scores"], scores, rtol=1e-5, atol=1e-6)


def test_k_is_what_was_asked_for(runtime, popularity, tmp_path):
    path = export(popularity.recommender, tmp_path / "films", top_k=3, name="films-zh")
    answer = runtime.run(path, "retrieve", user_id=[""], history=[[]], exclude_item_ids=[[]])
    expected = popularity.recommender.recommend([""], k=3)
    assert answer["item_ids"].tolist() == [expected["item_id"].tolist()]
    assert "# films-zh, version 1" in card_of(path)
    assert "/v1/models/films-zh:predict" in card_of(path)


def test_python_loads_it_too(runtime, exported):
    """TensorFlow's loaders of today and of old, which fill look-ups in their own ways."""
    inputs = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [["item2"]]}
    expected = runtime.run(exported.path, "retrieve", **inputs)["item_ids"]
    constants = {name: tf.constant(value) for name, value in inputs.items()}
    eager = tf.saved_model.load(str(exported.path)).signatures["retrieve"](**constants)["item_ids"].numpy()
    assert [item.decode() for item in eager[0]] == expected[0].tolist()
    assert ServedModel(exported.path)("retrieve", **inputs)["item_ids"].tolist() == expected.tolist()


@pytest.mark.parametrize(("family", "count"), [("next_item", 10), ("bert_ranker", 9), ("cascade", 8)])
def test_warm_up_reaches_every_signature(exports, family, count):
    model = ServedModel(exports[family].path)
    assert replay(model) == count * len(CPU.batch_sizes)
    assert {name for name, _ in model._calls} == set(signatures_of(exports[family].path))


# ---- what is refused


def test_versions_follow_each_other(popularity, tmp_path, capfd, caplog):
    caplog.set_level(logging.INFO, "tensorflow")  # as in a notebook
    paths = [export(popularity.recommender, tmp_path, version=version) for version in (None, 7, None)]
    assert [path.name for path in paths] == ["1", "7", "8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "7", "8"]
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")  # not a word
    assert tf.get_logger().level == logging.INFO


def test_an_existing_version_stays_untouched(popularity, tmp_path):
    path = export(popularity.recommender, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    with pytest.raises(InputError, match="has a version 1 already"):
        export(popularity.recommender, tmp_path, version=1)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert path.is_dir()


@pytest.mark.parametrize(("options", "message"), [({"version": 0}, "version is 0"), ({"top_k": 0}, "top_k is 0")])
def test_bad_options(popularity, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export(popularity.recommender, tmp_path / "new", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_unfitted_recommender(tmp_path):
    with pytest.raises(InputError, match="call fit first"):
        export(Popularity(), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_recommender(data, tmp_path):
    recommender = Popularity().fit(data)
    weight = recommender.scorer.weights[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(InputError, match=r"not finite .*popularity"):
        export(recommender, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing(popularity, tmp_path, monkeypatch):
    save = tf.saved_model.save

    def save_and_fail(*args, **options):
        save(*args, **options)
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", save_and_fail)
    with pytest.raises(OSError, match="disk full"):
        export(popularity.recommender, tmp_path / "models" / "films")
    assert list(tmp_path.iterdir()) == []


# ---- the check of exports can fail


def test_lost_variables_are_found(runtime, two_tower, tmp_path):
    """A Keras model as an attribute: TensorFlow's Python loader runs it, TF Serving's does not."""
    module = tf.Module()
    module.scorer = scorer = two_tower.recommender.scorer
    user = tf.TensorSpec([None], tf.int32, "user")
    history = tf.TensorSpec([None, 4], tf.int32, "history")
    scores = tf.function(lambda user, history: {"scores": scorer({"user": user, "history": history})})
    tf.saved_model.save(module, str(tmp_path), signatures=scores.get_concrete_function(user, history))
    assert "variable" in runtime.check(tmp_path)["serving_default"]


def test_compiled_signatures_are_found(runtime, two_tower, tmp_path):
    servable = Servable(two_tower.recommender, 5, target=GPU)
    tf.saved_model.save(servable, str(tmp_path), signatures=servable.signatures())
    found = runtime.check(tmp_path)
    assert "XLA" in found["retrieve"]
    assert found["embed_items"] == "ok"
