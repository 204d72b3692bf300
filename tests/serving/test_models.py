"""What a configuration names, as it is found on disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import one_model, read_config
from tfllmrec.serving.models import Models
from tfllmrec_client.status import RequestError

CONFIG = 'model_config_list { config { name: "films" base_path: "/films" model_platform: "tensorflow" MORE } }'
ALL = "model_version_policy { all {} }"
NOTHING = [".tmp-1", "tmp", "1x", "v1", "-1x", "1.0", "1_0", "²", "٣", "五", "latest"]
"""Names of folders that TF Serving reads no version number from."""


@pytest.fixture
def films(saved, tmp_path):
    """Makes a model's folder of versions by name, and the `Models` of a configuration with it."""

    def make(*names, more=ALL, tripling=()):
        folder = tmp_path / "films"
        for name in names:
            shutil.copytree(saved[3 if name in tripling else 2], folder / name)
        return folder, lambda: Models([config(folder, more)])

    return make


def config(folder, more=""):
    return text_format.Parse(f'name: "films" base_path: "{folder}" model_platform: "tensorflow" {more}', ModelConfig())


def spec(name="films", **version):
    return ModelSpec(name=name, **version)


def served(models):
    """The versions that answer, and what they make of 1."""
    found = {version: found.model for _, version, found in models if found.model}
    one = np.ones(1, np.float32)
    return {version: model.run("", {"x": one})["y"].tolist() for version, model in found.items()}


def refused(call, **asked):
    with pytest.raises(RequestError) as error:
        call(spec(**asked))
    return error.value.code.name, str(error.value)


def test_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = one_model("films", Path("models/films"))
    assert (found.name, found.base_path) == ("films", f"{tmp_path}/models/films")
    assert found.model_platform == "tensorflow"
    assert not found.HasField("model_version_policy")


def test_one_model_is_the_folder_of_versions(saved):
    with pytest.raises(InputError, match=f"{saved[2]} is a version of a model: give .* {saved[2].parent}$"):
        one_model("films", saved[2])


def test_a_config_is_read(tmp_path):
    path = tmp_path / "models.config"
    labelled = 'version_labels { key: "stable" value: 2 } model_version_policy { specific { versions: 2 } }'
    second = 'config { name: "电影" base_path: "/more" model_platform: "tensorflow" } }'
    path.write_text(f"# two\n{CONFIG.replace('MORE', labelled)[:-1]} {second}", encoding="utf-8")
    one, two = read_config(path)
    assert (one.name, one.base_path, dict(one.version_labels)) == ("films", "/films", {"stable": 2})
    assert list(one.model_version_policy.specific.versions) == [2]
    assert (two.name, two.base_path) == ("电影", "/more")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (CONFIG, "", "must name at least one model"),
        (CONFIG, "model_config_list {}", "must name at least one model"),
        (CONFIG, "custom_model_config {}", "must name at least one model"),
        ('name: "films"', "", "every config has a name"),
        ('"/films"', '"films"', "base_path of model films must be absolute, not 'films'"),
        ('base_path: "/films"', "", "base_path of model films must be absolute, not ''"),
        ('model_platform: "tensorflow"', "", 'model films must have model_platform: "tensorflow"'),
        ('"tensorflow"', '"pytorch"', 'model films must have model_platform: "tensorflow"'),
        ("MORE", 'MORE } config { name: "films" base_path: "/" model_platform: "tensorflow"', "films is listed twice"),
        ("MORE", "more: 1", "no model server configuration: .*more"),
        (CONFIG, CONFIG[:-1], "no model server configuration"),
        (CONFIG, "\udcff", "no model server configuration"),
    ],
)
def test_configs_that_are_wrong(tmp_path, old, new, sentence):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.replace(old, new).replace("MORE", ""), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=f"^{path}.*{sentence}"):
        read_config(path)


def test_a_config_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "models.config"):
        with pytest.raises(InputError, match=f"{path} holds no model server configuration"):
            read_config(path)


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", [10]),
        ("model_version_policy { latest {} }", [10]),
        ("model_version_policy { latest { num_versions: 0 } }", [10]),
        ("model_version_policy { latest { num_versions: 1 } }", [10]),
        ("model_version_policy { latest { num_versions: 2 } }", [9, 10]),
        ("model_version_policy { latest { num_versions: 9 } }", [2, 9, 10]),
        (ALL, [2, 9, 10]),
        ("model_version_policy { specific { versions: 9 } }", [9]),
        ("model_version_policy { specific { versions: [10, 2, 2] } }", [2, 10]),
    ],
)
def test_policies(films, more, wanted):
    _, models = films("9", "10", "2", more=more, tripling="9")
    models = models()
    assert served(models) == {version: [3.0 if version == 9 else 2.0] for version in wanted}
    assert list(models.statuses(ModelSpec(name="films"))) == wanted


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("model_version_policy { specific { versions: [2, 4, 3] } }", "model films: .*/films has no version 3"),
        (
            'version_labels { key: "stable" value: 1 }',
            "model films: label stable is for version 1, which is not loaded",
        ),
        ('version_labels { key: "stable" value: 7 }', "label stable is for version 7, which is not loaded"),
    ],
)
def test_versions_that_are_not_there(films, more, sentence):
    _, models = films("1", "2", more=more)
    with pytest.raises(InputError, match=sentence):
        models()


@pytest.mark.parametrize("names", [[], ["tmp", ".tmp-1"], NOTHING])
def test_a_folder_without_versions(films, names):
    folder, models = films(*names)
    with pytest.raises(InputError, match=f"{folder} is no export"):
        models()


@pytest.mark.parametrize(("name", "version"), [("1", 1), ("01", 1), ("0", 0), ("9223372036854775807", 2**63 - 1)])
def test_names_that_are_numbers_among_others_that_are_none(films, name, version):
    _, models = films(name, *NOTHING)
    models = models()
    assert served(models) == {version: [2.0]}
    assert models.find(spec())[0] == version


@pytest.mark.parametrize("name", [str(2**63), "20261122000000000000000"])
def test_numbers_beyond_64_bits_are_names_like_any_other(films, name):
    assert served(films("1", name)[1]()) == {1: [2.0]}  # ParseVersionNumber of TF Serving reads an int64


def test_finding_a_version(films):
    labels = "".join(f'version_labels {{ key: "{key}" value: {value} }}' for key, value in (("old", 1), ("new", 2)))
    _, models = films("1", "2", "3", more=ALL + labels, tripling="1")
    models = models()
    newest, model = models.find(spec())
    assert (newest, model.folder.name) == (3, "3")
    for asked, wanted in (({"version": {"value": 1}}, 1), ({"version_label": "old"}, 1), ({"version_label": "new"}, 2)):
        version, model = models.find(spec(**asked))
        assert (version, model.folder.name, list(models.statuses(spec(**asked)))) == (wanted, str(wanted), [wanted])
    assert list(models.statuses(spec())) == [1, 2, 3]


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        ({"name": ""}, "INVALID_ARGUMENT", "names no model"),
        ({"name": "Films"}, "NOT_FOUND", "there is no model 'Films' here; there are films"),
        ({"name": "other", "version_label": "stable"}, "NOT_FOUND", "there is no model 'other' here"),
        ({"version": {"value": 7}}, "NOT_FOUND", "model 'films' has no version 7"),
        ({"version": {"value": 0}}, "NOT_FOUND", "model 'films' has no version 0"),
        ({"version": {}}, "NOT_FOUND", "model 'films' has no version 0"),
        ({"version": {"value": -1}}, "NOT_FOUND", "model 'films' has no version -1"),
        ({"version_label": "stab"}, "INVALID_ARGUMENT", "no version label 'stab'; there are: stable"),
        ({"version_label": ""}, "INVALID_ARGUMENT", "no version label ''; there are: stable"),
    ],
)
def test_what_is_not_found(films, asked, code, sentence):
    models = films("1", "2", more=ALL + 'version_labels { key: "stable" value: 1 }')[1]()
    for call in (models.find, models.statuses):
        found = refused(call, **asked)
        assert found[0] == code
        assert sentence in found[1]


def truncate(folder):
    path = folder / "saved_model.pb"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "truncated": truncate,
    "text": lambda folder: (folder / "saved_model.pb").write_text("no model"),
    "zero bytes": lambda folder: (folder / "saved_model.pb").write_bytes(b""),
    "no graph": lambda folder: (folder / "saved_model.pb").unlink(),
    "no values": lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(),
    "values cut": lambda folder: (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b""),
    "empty folder": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
    "file": lambda folder: [shutil.rmtree(folder), folder.touch()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_version_stands_beside_a_good_one(films, damage):
    folder, models = films("2", "3", more=ALL + 'version_labels { key: "broken" value: 3 }')
    DAMAGES[damage](folder / "3")
    models = models()
    assert served(models) == {2: [2.0]}
    broken = models.statuses(ModelSpec(name="films"))[3]
    assert (broken.model, broken.warmed) == (None, 0)
    assert f"{folder}/3 holds no SavedModel that loads: " in broken.error
    assert models.find(spec())[0] == 2
    for asked in ({"version": {"value": 3}}, {"version_label": "broken"}):
        assert refused(models.find, **asked)[0] == "NOT_FOUND"
        assert models.statuses(spec(**asked)) == {3: broken}


def test_a_model_without_any_version_that_loads(films):
    folder, models = films("3")
    truncate(folder / "3")
    code, sentence = refused(models().find)
    assert code == "NOT_FOUND"
    assert "None" not in sentence


def test_a_model_without_a_name_in_another_folder(films, tmp_path):
    folder, _ = films("1")
    models = Models([config(folder), *one_model("more", folder)])
    assert [(name, version) for name, version, _ in models] == [("films", 1), ("more", 1)]
    assert models.find(spec("more"))[0] == 1
    with pytest.raises(InputError, match=f"{tmp_path}/nowhere is no export"):
        Models([config(folder), config(tmp_path / "nowhere")])


def test_closed_models_do_not_answer(films):
    models = films("1")[1]()
    model = models.find(spec())[1].model
    models.close()
    assert refused(models.find)[0] == "NOT_FOUND"
    with pytest.raises((RequestError, tf.errors.CancelledError), match="closed"):
        model.run("", {"x": np.ones(1, np.float32)})
