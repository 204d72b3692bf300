"""Tests of `export`: contents of a version, invalid options, and broken SavedModels in the C++ runtime."""

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


# ---- contents of a version


def test_graph_has_no_unsafe_operations(exported):
    operations = {node.op for node in nodes_of(meta_graph(exported.path).graph_def)}
    assert "TopKV2" in operations
    checks = {node.name for node in nodes_of(meta_graph(exported.path).graph_def) if node.op == "Assert"}
    assert not {name for name in checks if "Ragged" not in name}  # TensorFlow Text's only; others could fail a batch
    assert "ResourceGather" not in operations  # it would copy the variable on every dense read
    assert not {operation for operation in operations if "cudnn" in operation.lower()}  # servers may lack a GPU


def test_small_matrices_stay_float32():
    for items, dtype in ((62, tf.float32), (63, tf.bfloat16)):
        model = item_to_item_model(DenseItemToItem(items), np.zeros(items + 1), 3)
        variables = StoredWeights([model], "bfloat16").variables
        assert {variable.dtype for variable in variables if variable.shape.rank == 2} == {dtype}


def test_weights_and_ids_are_stored_once(exported):
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


def test_card_describes_every_signature(exported):
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
    operations = re.search(r"^A stock TF Serving links all operations: (.*)\.$", card, re.MULTILINE)
    functions = {function.signature.name for function in meta_graph(exported.path).graph_def.library.function}
    nodes = nodes_of(meta_graph(exported.path).graph_def)
    assert set(operations[1].split(", ")) == {node.op for node in nodes} - functions


def test_card_example_runs(runtime, exported):
    request = json.loads(card_of(exported.path).split("```json")[1].split("```")[0])
    outputs = runtime.run(exported.path, request["signature_name"], **request["inputs"])
    assert outputs["item_ids"].shape == (2, 12)


def test_core_has_no_strings(exported):
    servable = Servable(exported.recommender, 3)
    index, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 4], tf.int32)
    arguments = [declared.argument for declared in servable.declared[0].core.inputs]
    specs = {argument: index if argument in ("user", "scenario") else rows for argument in arguments}
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
def test_core_compiles_at_every_allowed_batch_size(exports, family, sizes):
    """Compile the core alone and inside another compiled function, as a server with XLA does."""
    recommender, random = exports[family].recommender, np.random.default_rng(0)
    plain, compiled = (Servable(recommender, 5, target=target).cores["best"].function for target in (CPU, GPU))
    inside = tf.function(plain, jit_compile=True)
    for rows in sizes:
        present = np.arange(4) < random.integers(0, 5, (rows, 1))
        histories = (random.integers(1, len(ITEMS) + 1, (rows, 4)) * present).astype(np.int32)
        users, exclude = (random.integers(0, 3, shape).astype(np.int32) for shape in ((rows,), (rows, 2)))
        inputs = {"user": users, "history": histories, "exclude": exclude}
        items, scores = plain(inputs).values()
        assert len(np.unique(scores)) > rows  # distinct scores, so swapped rows or items would fail the test
        for core in (compiled, inside):
            outputs = core(inputs)
            np.testing.assert_array_equal(outputs["items"], items)
            np.testing.assert_allclose(outputs["scores"], scores, rtol=1e-5, atol=1e-6)


def test_top_k_sets_the_number_of_results(runtime, popularity, tmp_path):
    path = export(popularity.recommender, tmp_path / "films", top_k=3, name="films-zh")
    outputs = runtime.run(path, "retrieve", user_id=[""], history=[[]], exclude_item_ids=[[]])
    expected = popularity.recommender.recommend([""], k=3)
    assert outputs["item_ids"].tolist() == [expected["item_id"].tolist()]
    assert "# films-zh, version 1" in card_of(path)
    assert "/v1/models/films-zh:predict" in card_of(path)


def test_python_loads_the_export(runtime, exported):
    """Load with TensorFlow 2 and in a TensorFlow 1 session, which initialize look-up tables differently."""
    inputs = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [["item2"]]}
    expected = runtime.run(exported.path, "retrieve", **inputs)["item_ids"]
    constants = {name: tf.constant(value) for name, value in inputs.items()}
    eager = tf.saved_model.load(str(exported.path)).signatures["retrieve"](**constants)["item_ids"].numpy()
    assert [item.decode() for item in eager[0]] == expected[0].tolist()
    assert ServedModel(exported.path)("retrieve", **inputs)["item_ids"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("family", "count"),
    [
        ("next_item", 10),
        pytest.param("bert_ranker", 9, marks=pytest.mark.slow),
        pytest.param("cascade", 8, marks=pytest.mark.slow),
    ],
)
def test_warmup_covers_every_signature(exports, family, count):
    model = ServedModel(exports[family].path)
    assert replay(model) == count * len(CPU.batch_sizes)
    assert {name for name, _ in model._calls} == set(signatures_of(exports[family].path))


# ---- options and errors


def test_version_defaults_to_the_highest_plus_one(popularity, tmp_path, capfd, caplog):
    caplog.set_level(logging.INFO, "tensorflow")  # as in a notebook
    paths = [export(popularity.recommender, tmp_path, version=version) for version in (None, 7, None)]
    assert [path.name for path in paths] == ["1", "7", "8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "7", "8"]
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")  # an export prints and logs nothing
    assert tf.get_logger().level == logging.INFO


def test_existing_version_is_refused_and_unchanged(popularity, tmp_path):
    path = export(popularity.recommender, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    with pytest.raises(InputError, match="has a version 1 already"):
        export(popularity.recommender, tmp_path, version=1)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert path.is_dir()


@pytest.mark.parametrize(("options", "message"), [({"version": 0}, "version is 0"), ({"top_k": 0}, "top_k is 0")])
def test_invalid_options_are_refused(popularity, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export(popularity.recommender, tmp_path / "new", **options)
    assert list(tmp_path.iterdir()) == []


def test_unfitted_recommender_is_refused(tmp_path):
    with pytest.raises(InputError, match="call fit first"):
        export(Popularity(), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_non_finite_weights_are_refused(data, tmp_path):
    recommender = Popularity().fit(data)
    weight = recommender.scorer.weights[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(InputError, match=r"not finite .*popularity"):
        export(recommender, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_failed_export_leaves_no_files(popularity, tmp_path, monkeypatch):
    save = tf.saved_model.save

    def save_and_fail(*args, **options):
        save(*args, **options)
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", save_and_fail)
    with pytest.raises(OSError, match="disk full"):
        export(popularity.recommender, tmp_path / "models" / "films")
    assert list(tmp_path.iterdir()) == []


# ---- broken SavedModels in the C++ runtime


def test_untracked_variables_are_reported(runtime, two_tower, tmp_path):
    """Save a Keras model as an attribute, which TensorFlow's Python loader runs and TF Serving does not."""
    module = tf.Module()
    module.scorer = scorer = two_tower.recommender.scorer
    user = tf.TensorSpec([None], tf.int32, "user")
    history = tf.TensorSpec([None, 4], tf.int32, "history")
    scores = tf.function(lambda user, history: {"scores": scorer({"user": user, "history": history})})
    tf.saved_model.save(module, str(tmp_path), signatures=scores.get_concrete_function(user, history))
    assert "variable" in runtime.check(tmp_path)["serving_default"]


def test_compiled_signatures_are_reported(runtime, two_tower, tmp_path):
    servable = Servable(two_tower.recommender, 5, target=GPU)
    tf.saved_model.save(servable, str(tmp_path), signatures=servable.signatures())
    statuses = runtime.check(tmp_path)
    assert "XLA" in statuses["retrieve"]
    assert statuses["embed_items"] == "ok"
