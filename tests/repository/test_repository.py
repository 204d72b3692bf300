"""Versions and labels move in whole steps, and a version that fails its check is served to nobody."""

import os
import shutil
import signal
import sys
import traceback

import pytest
from google.protobuf import text_format
from made_data import made_data
from tensorflow_serving.config import model_server_config_pb2

import tfllmrec
from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.target import TARGETS
from tfllmrec.export.versions import version_folders
from tfllmrec.repository import Repository, repository
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import read_config
from tfllmrec.serving.models import Models


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Three versions of 电影."""
    popularity = tfllmrec.Popularity(history_length=3).fit(made_data(), verbose=0)
    folder = tmp_path_factory.mktemp("exports") / "电影"
    return {number: export(popularity, folder, version=number) for number in (1, 2, 3)}


@pytest.fixture
def published(exports, tmp_path):
    """A repository with version 1 stable, 2 canary."""
    found = Repository(tmp_path / "models")
    for number in (1, 2):
        found.publish(exports[number])
    return found


def config_of(repository):
    text = (repository.folder / "models.config").read_text(encoding="utf-8")
    (config,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    return config


def test_the_way_of_a_version(published, exports):
    assert published.labels("电影") == {"stable": 1, "canary": 2}
    assert published.promote("电影") == published.labels("电影") == {"stable": 2, "previous": 1}
    published.publish(exports[3])
    assert published.labels("电影") == {"stable": 2, "previous": 1, "canary": 3}
    assert published.rollback("电影", canary=True) == {"stable": 2, "previous": 1}
    assert published.rollback("电影") == published.labels("电影") == {"stable": 1}
    assert published.prune("电影", keep=1) == [2]
    assert sorted(path.name for path in (published.folder / "电影").iterdir()) == ["1", "3"]


@pytest.mark.parametrize("target", ["gpu", "tpu"])
def test_a_repository_is_for_one_target(published, tmp_path, target):
    popularity = tfllmrec.Popularity(history_length=3).fit(made_data(), verbose=0)
    path = export(popularity, tmp_path / "others" / "films", target=target)
    with pytest.raises(InputError, match=f"publish: .*films/1 is made for a {target}, and .* for a cpu: give each"):
        published.publish(path)
    assert not (published.folder / "films").exists()
    Repository(tmp_path / target).publish(path)
    batching = BatchingParameters.from_file(tmp_path / target / "batching.config")
    assert tuple(batching.allowed_batch_sizes) == TARGETS[target].batch_sizes


def test_exactly_what_has_a_label_is_served(published):
    config = config_of(published)
    assert (config.name, config.base_path) == ("电影", str(published.folder / "电影"))
    assert list(config.model_version_policy.specific.versions) == [1, 2]
    models = Models(read_config(published.folder / "models.config"))
    assert [(number, found.error) for _, number, found in models] == [(1, ""), (2, "")]
    models.close()


def test_other_models_and_settings_stay(published, exports, tmp_path):
    path = published.folder / "models.config"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('name: "电影"', 'name: "电影" logging_config { sampling_config { sampling_rate: 1 } }')
    )
    shutil.copytree(exports[1].parent, tmp_path / "other")
    published.publish(tmp_path / "other" / "3")
    assert published.labels("other") == {"stable": 3}
    published.promote("电影")
    configs = {config.name: config for config in read_config(path)}
    assert sorted(configs) == ["other", "电影"]
    assert configs["电影"].logging_config.sampling_config.sampling_rate == 1


def test_batching_and_monitoring_are_written_once(published, exports):
    parameters = BatchingParameters.from_file(published.folder / "batching.config")
    assert parameters.allowed_batch_sizes == (1, 8, 32)
    assert parameters.pad_variable_length_inputs
    assert "/monitoring/prometheus/metrics" in (published.folder / "monitoring.config").read_text()
    (published.folder / "batching.config").write_text("max_batch_size { value: 4 }")
    published.publish(exports[3])
    assert BatchingParameters.from_file(published.folder / "batching.config").max_batch_size == 4


def test_a_version_in_its_place(exports, tmp_path):
    shutil.copytree(exports[1].parent, tmp_path / "films")
    assert Repository.of(tmp_path / "films").publish(tmp_path / "films" / "3") == tmp_path / "films" / "3"
    assert Repository(tmp_path).labels("films") == {"stable": 3}


def test_publishing_again_changes_nothing(published, exports):
    published.publish(exports[2])
    published.publish(exports[1])
    assert published.labels("电影") == {"stable": 1, "canary": 2}


def test_another_version_of_that_number(published, exports, tmp_path):
    shutil.copytree(exports[3], tmp_path / "电影" / "2")
    with pytest.raises(InputError, match="is another version 2"):
        published.publish(tmp_path / "电影" / "2")


DAMAGES = {
    "a graph that was cut": ("saved_model.pb", lambda data: data[:-9], "saved_model.pb differs"),
    "a file more": ("assets/more", None, "assets/more was added"),
    "no checksums": ("assets.extra/SHA256SUMS", "remove", "no readable assets.extra/SHA256SUMS"),
    "no warm-up": ("assets.extra/tf_serving_warmup_requests", "remove", "tf_serving_warmup_requests is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_not_published(published, exports, tmp_path, damage):
    name, change, message = DAMAGES[damage]
    shutil.copytree(exports[3], tmp_path / "电影" / "3")
    path = tmp_path / "电影" / "3" / name
    if change == "remove":
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(change(path.read_bytes()) if change else b"")
    before = sorted(published.folder.rglob("*"))
    with pytest.raises(InputError, match=message):
        published.publish(tmp_path / "电影" / "3")
    with pytest.raises(InputError, match=message):
        Repository(tmp_path / "new").publish(tmp_path / "电影" / "3")
    assert not (tmp_path / "new").exists()
    assert sorted(published.folder.rglob("*")) == before
    assert published.labels("电影") == {"stable": 1, "canary": 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.promote("films"), "films has no canary"),
        (lambda one: one.rollback("电影"), "had no other stable version"),
        (lambda one: one.rollback("films", canary=True), "has no canary"),
        (lambda one: one.prune("films", keep=1), "has no version of films"),
        (lambda one: one.prune("电影", keep=0), "must be at least 1"),
        (lambda one: one.publish(one.folder / "电影"), "is no version of a model"),
        (lambda one: one.publish(one.folder / "电影" / "7"), "is no version of a model"),
    ],
)
def test_what_cannot_be_done(published, call, message):
    with pytest.raises(InputError, match=message):
        call(published)
    assert published.labels("电影") == {"stable": 1, "canary": 2}


def test_a_folder_that_is_no_repository_stays_as_it_is(tmp_path):
    for change in ("promote", "rollback"):
        with pytest.raises(InputError, match="is not a model repository"):
            getattr(Repository(tmp_path), change)("films")
    assert list(tmp_path.iterdir()) == []


WHOSE_LINES = ("tfllmrec.files", "tfllmrec.repository.repository", "tfllmrec.repository.configs")
WRITES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"}


def killed_before(step, change, repository):
    """Do a change in a process that is killed before its step-th line, or access to the disk."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), f"step {step} failed"
        return
    steps = iter(range(step))

    def on_access(event, arguments):
        if event in WRITES and next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_line(frame, event, argument):
        if event == "line":
            on_access("os.rename", ())
        return on_line

    def on_call(frame, event, argument):
        return on_line if frame.f_globals["__name__"] in WHOSE_LINES else None

    try:
        sys.addaudithook(on_access)
        sys.settrace(on_call)
        change(repository)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


CHANGES = {
    "publish": (lambda one, version: one.publish(version), {"stable": 1, "canary": 3}, {1, 2, 3}),
    "promote": (lambda one, _: one.promote("电影"), {"stable": 3, "previous": 1}, {1, 2, 3}),
    "rollback": (lambda one, _: one.rollback("电影"), {"stable": 1}, {1, 2, 3}),
    "prune": (lambda one, _: one.prune("电影", keep=1), {"stable": 1, "canary": 3}, {1, 3}),
}
"""What is done, and the labels and versions there are then."""


@pytest.mark.parametrize("change", CHANGES)
def test_killed_anywhere(published, exports, monkeypatch, change):
    """Before its first, second, third ... step, and begun again after each: the repository is whole."""
    monkeypatch.setattr(repository, "check_version", check_checksums)  # TensorFlow's threads are not there in a fork
    published.rollback("电影", canary=True)
    if change != "publish":
        published.publish(exports[3])
    if change == "rollback":
        published.promote("电影")
    call, labels, versions = CHANGES[change]
    steps = 0
    while (published.labels("电影"), version_folders(published.folder / "电影").keys()) != (labels, versions):
        killed_before(steps, lambda one: call(one, exports[3]), published)
        steps += 1
        config = config_of(published)
        there = version_folders(published.folder / "电影")
        assert set(config.version_labels.values()) == set(config.model_version_policy.specific.versions) <= there.keys()
        assert versions <= there.keys() | {3}
        for folder in there.values():
            check_checksums(folder)
    assert steps > 5
    published.prune("电影", keep=9)
    assert not (published.folder / ".staging").exists()
