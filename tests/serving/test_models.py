"""Models of a configuration: files, version policies, labels, lookups and damaged versions."""

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

PLATFORM = 'model_platform: "tensorflow"'
CONFIG = f'model_config_list {{ config {{ name: "films" base_path: "/films" {PLATFORM} MORE }} }}'
ALL = "model_version_policy { all {} }"
NOT_VERSIONS = [".tmp-1", "tmp", "1x", "v1", "-1x", "1.0", "1_0", "²", "٣", "五", "latest"]
"""Folder names that TF Serving does not read as version numbers."""


@pytest.fixture
def films(multipliers, tmp_path):
    """Return a function that makes a folder of versions by name, and a function that loads it as `Models`."""

    def make(*names, more=ALL, tripling=()):
        folder = tmp_path / "films"
        for name in names:
            shutil.copytree(multipliers[3 if name in tripling else 2], folder / name)
        return folder, lambda: Models([config(folder, more)])

    return make


def config(folder, more=""):
    return text_format.Parse(f'name: "films" base_path: "{folder}" model_platform: "tensorflow" {more}', ModelConfig())


def spec(name="films", **version):
    return ModelSpec(name=name, **version)


def outputs_of(models):
    """Return the output for 1 of each available version."""
    available = {number: version.model for _, number, version in models if version.model}
    one = np.ones(1, np.float32)
    return {version: model.run("", {"x": one})["y"].tolist() for version, model in available.items()}


def error_of(call, **fields):
    with pytest.raises(RequestError) as error:
        call(spec(**fields))
    return error.value.code.name, str(error.value)


def test_one_model_is_a_configuration_with_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (config,) = one_model("films", Path("models/films"))
    assert (config.name, config.base_path) == ("films", f"{tmp_path}/models/films")
    assert config.model_platform == "tensorflow"
    assert not config.HasField("model_version_policy")


def test_a_version_folder_is_refused_as_a_model(multipliers):
    with pytest.raises(
        InputError, match=f"{multipliers[2]} is a single version of a model: use .* {multipliers[2].parent}$"
    ):
        one_model("films", multipliers[2])


def test_a_configuration_file_is_read(tmp_path):
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
        (CONFIG, "", "ServerModelConfig type not supported"),
        (CONFIG, "model_config_list {}", "must have at least one model"),
        (CONFIG, "custom_model_config {}", "ServerModelConfig type not supported"),
        ('name: "films"', "", "every model must have a name"),
        ('"/films"', '"films"', "Expected model films to have an absolute path or URI; got base_path..=films$"),
        ('base_path: "/films"', "", "Expected model films to have an absolute path or URI; got base_path..=$"),
        (PLATFORM, "", "Illegal setting neither .*model_type.* nor .*model_platform, model name is films"),
        (PLATFORM, f"{PLATFORM} model_type: TENSORFLOW", "Illegal setting both .* model name is films"),
        (PLATFORM, "model_type: OTHER", "ModelServerConfig::model_type choice 2 not supported"),
        (PLATFORM, 'model_platform: "pytorch"', "Model films requests unsupported platform pytorch"),
        ("MORE", f'MORE }} config {{ name: "films" base_path: "/" {PLATFORM}', "Illegal to list model films multiple"),
    ],
)
def test_an_invalid_configuration_is_refused(tmp_path, old, new, sentence):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.replace(old, new).replace("MORE", ""), encoding="utf-8")
    with pytest.raises(InputError, match=f"^{path}: .*{sentence}"):
        read_config(path)


def test_the_deprecated_model_type_is_accepted(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.replace(PLATFORM, "model_type: TENSORFLOW").replace("MORE", ""), encoding="utf-8")
    assert [config.name for config in read_config(path)] == ["films"]


@pytest.mark.parametrize(
    ("more", "versions"),
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
def test_a_policy_selects_versions(films, more, versions):
    _, models = films("9", "10", "2", more=more, tripling="9")
    models = models()
    assert outputs_of(models) == {version: [3.0 if version == 9 else 2.0] for version in versions}
    assert list(models.statuses(ModelSpec(name="films"))) == versions


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("model_version_policy { specific { versions: [2, 4, 3] } }", "model films: .*/films has no version 3"),
        (
            'version_labels { key: "stable" value: 1 }',
            "version 1 of model films, which is not currently available for inference",
        ),
        ('version_labels { key: "stable" value: 7 }', "version 7 of model films, which is not currently available"),
    ],
)
def test_missing_versions_are_refused(films, more, sentence):
    folder, _ = films("1", "2", more=more)
    models = Models([config(folder)])
    with pytest.raises(InputError, match=sentence):
        models.apply([config(folder, more)])
    assert outputs_of(models) == {2: [2.0]}


@pytest.mark.parametrize("names", [[], ["tmp", ".tmp-1"], NOT_VERSIONS])
def test_a_folder_without_versions_waits_for_the_first_one(films, multipliers, caplog, names):
    folder, models = films(*names)
    models = models()
    for _ in range(2):
        models.update()
        assert error_of(models.find) == ("NOT_FOUND", "Servable not found for request: Latest(films)")
        assert error_of(models.statuses) == ("NOT_FOUND", "Could not find any versions of model films")
    assert [message.partition(":")[0] for message in caplog.messages] == ["films"]
    assert f"No versions of servable films found under base path {folder}" in caplog.messages[0]
    shutil.copytree(multipliers[2], folder / "1")
    models.update()
    assert outputs_of(models) == {1: [2.0]}


@pytest.mark.parametrize(("name", "version"), [("1", 1), ("01", 1), ("0", 0), ("9223372036854775807", 2**63 - 1)])
def test_version_folders_are_found_among_other_names(films, name, version):
    _, models = films(name, *NOT_VERSIONS)
    models = models()
    assert outputs_of(models) == {version: [2.0]}
    assert models.find(spec())[0] == version


@pytest.mark.parametrize("name", [str(2**63), "20261122000000000000000"])
def test_numbers_beyond_64_bits_are_not_versions(films, name):
    assert outputs_of(films("1", name)[1]()) == {1: [2.0]}  # ParseVersionNumber of TF Serving reads an int64


def test_a_version_is_found_by_number_label_or_default(films):
    labels = "".join(f'version_labels {{ key: "{key}" value: {value} }}' for key, value in (("old", 1), ("new", 2)))
    _, models = films("1", "2", "3", more=ALL + labels, tripling="1")
    models = models()
    newest, version = models.find(spec())
    assert (newest, version.folder.name) == (3, "3")
    for fields, expected in (
        ({"version": {"value": 1}}, 1),
        ({"version_label": "old"}, 1),
        ({"version_label": "new"}, 2),
    ):
        number, version = models.find(spec(**fields))
        assert (number, version.folder.name) == (expected, str(expected))
        assert list(models.statuses(spec(**fields))) == [expected]
    assert list(models.statuses(spec())) == [1, 2, 3]


@pytest.mark.parametrize(
    ("fields", "code", "sentences"),
    [
        ({"name": "Films"}, "NOT_FOUND", ["Latest(Films)", "any versions of model Films"]),
        ({"name": "other", "version": {"value": 1}}, "NOT_FOUND", ["Specific(other, 1)", "version 1 of model other"]),
        ({"version": {"value": 7}}, "NOT_FOUND", ["Specific(films, 7)", "version 7 of model films"]),
        ({"version": {"value": 0}}, "NOT_FOUND", ["Specific(films, 0)", "version 0 of model films"]),
        ({"version": {}}, "NOT_FOUND", ["Specific(films, 0)", "version 0 of model films"]),
        ({"version": {"value": -1}}, "NOT_FOUND", ["Specific(films, -1)", "version -1 of model films"]),
        ({"version_label": "stab"}, "INVALID_ARGUMENT", ["Unrecognized servable version label: stab"] * 2),
        ({"version_label": ""}, "INVALID_ARGUMENT", ["Unrecognized servable version label: "] * 2),
        ({"name": "a", "version_label": "stable"}, "INVALID_ARGUMENT", ["servable version label: stable"] * 2),
    ],
)
def test_unknown_models_versions_and_labels_are_refused(films, fields, code, sentences):
    models = films("1", "2", more=ALL + 'version_labels { key: "stable" value: 1 }')[1]()
    prefixes = ("Servable not found for request: ", "Could not find ") if code == "NOT_FOUND" else ("", "")
    for call, prefix, sentence in zip((models.find, models.statuses), prefixes, sentences, strict=True):
        assert error_of(call, **fields)[0] == code
        assert error_of(call, **fields)[1].endswith((prefix + sentence).strip())


def test_a_request_without_a_model_name_is_refused(films):
    models = films("1")[1]()
    assert error_of(models.find, name="") == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    assert error_of(models.statuses, name="") == ("NOT_FOUND", "Could not find any versions of model")


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
def test_a_damaged_version_does_not_affect_another_version(films, damage):
    folder, _ = films("2", "3")
    DAMAGES[damage](folder / "3")
    labelled = config(folder, ALL + 'version_labels { key: "broken" value: 3 }')
    models = Models([labelled])
    assert error_of(models.find, version_label="broken")[0] == "INVALID_ARGUMENT"
    models = Models([labelled], allow_unavailable_labels=True)
    assert outputs_of(models) == {2: [2.0]}
    broken = models.statuses(ModelSpec(name="films"))[3]
    assert (broken.model, broken.warmup_count) == (None, 0)
    assert f"the SavedModel in {folder}/3 cannot be loaded: " in broken.error
    assert models.find(spec())[0] == 2
    for fields in ({"version": {"value": 3}}, {"version_label": "broken"}):
        assert error_of(models.find, **fields)[0] == "NOT_FOUND"
        assert models.statuses(spec(**fields)) == {3: broken}


def test_a_model_without_an_available_version_is_not_found(films):
    folder, models = films("3")
    truncate(folder / "3")
    code, sentence = error_of(models().find)
    assert code == "NOT_FOUND"
    assert "None" not in sentence


def test_two_models_can_share_a_folder(films, tmp_path):
    folder, _ = films("1")
    models = Models([config(folder), *one_model("more", folder)])
    assert [(name, version) for name, version, _ in models] == [("films", 1), ("more", 1)]
    assert models.find(spec("more"))[0] == 1


def test_closed_models_refuse_requests(films):
    models = films("1")[1]()
    model = models.find(spec())[1].model
    models.close()
    assert error_of(models.find)[0] == "NOT_FOUND"
    with pytest.raises((RequestError, tf.errors.CancelledError), match="closed"):
        model.run("", {"x": np.ones(1, np.float32)})
