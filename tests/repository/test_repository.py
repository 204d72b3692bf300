"""Changes of versions and labels, and requests for changes that are refused."""

import shutil

import pytest

from tfllmrec.errors import InputError
from tfllmrec.export.format import FORMAT_FILE
from tfllmrec.export.target import CPU, TARGETS
from tfllmrec.repository import Repository, repository
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import read_config
from tfllmrec.serving.models import Models

LABELS = {"stable": 1, "canary": 2}


def test_version_lifecycle(published, exports):
    assert published.labels("电影") == LABELS
    assert published.promote("电影") == published.labels("电影") == {"stable": 2, "previous": 1}
    published.publish(exports[3])
    assert published.labels("电影") == {"stable": 2, "previous": 1, "canary": 3}
    assert published.rollback("电影", canary=True) == {"stable": 2, "previous": 1}
    assert published.rollback("电影") == published.labels("电影") == {"stable": 1}
    assert published.prune("电影", keep=1) == [2]
    assert sorted(path.name for path in (published.folder / "电影").iterdir()) == ["1", "3"]


@pytest.mark.parametrize("name", ["gpu", "tpu"])
def test_a_repository_serves_one_target(published, exports, tmp_path, monkeypatch, name):
    other = shutil.copytree(exports[1], tmp_path / "others" / "films" / "1")
    monkeypatch.setattr(repository, "target_of", lambda version: TARGETS[name] if version == other else CPU)
    with pytest.raises(InputError, match=f"publish: .*films/1 is an export for {name} and .* one for cpu: use a"):
        published.publish(other)
    assert not (published.folder / "films").exists()
    Repository(tmp_path / name).publish(other)
    batching = BatchingParameters.from_file(tmp_path / name / "batching.config")
    assert tuple(batching.allowed_batch_sizes) == TARGETS[name].batch_sizes


def test_a_repository_that_serves_another_format_is_refused(published, exports):
    (published.folder / "电影" / "1" / FORMAT_FILE).write_text('{"format": 2}')
    with pytest.raises(InputError, match=r"电影/1 has format 2; this version of tfllmrec reads format 1: upgrade"):
        published.publish(exports[3])
    assert published.labels("电影") == LABELS


def test_exactly_the_versions_with_a_label_are_served(published):
    (config,) = read_config(published.folder / "models.config")
    assert (config.name, config.base_path) == ("电影", str(published.folder / "电影"))
    assert list(config.model_version_policy.specific.versions) == [1, 2]
    models = Models(read_config(published.folder / "models.config"))
    assert [(number, status.error) for _, number, status in models] == [(1, ""), (2, "")]
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


@pytest.mark.usefixtures("stub_check")
def test_a_version_that_is_in_the_repository_is_published_in_place(exports, tmp_path):
    shutil.copytree(exports[1].parent, tmp_path / "films")
    assert Repository.of(tmp_path / "films").publish(tmp_path / "films" / "3") == tmp_path / "films" / "3"
    assert Repository(tmp_path).labels("films") == {"stable": 3}


def test_publishing_again_changes_nothing(published, exports):
    published.publish(exports[2])
    published.publish(exports[1])
    assert published.labels("电影") == LABELS


def test_another_version_with_the_same_number_is_refused(published, exports, tmp_path):
    shutil.copytree(exports[3], tmp_path / "电影" / "2")
    with pytest.raises(InputError, match="is another version 2"):
        published.publish(tmp_path / "电影" / "2")


def test_a_version_that_fails_its_check_is_refused(published, exports, tmp_path, monkeypatch):
    def fail(version, *, allow_ops):
        raise InputError(f"{version}: scores differs")

    monkeypatch.setattr(repository, "check_version", fail)
    before = sorted(published.folder.rglob("*"))
    for destination in (published, Repository(tmp_path / "new")):
        with pytest.raises(InputError, match="3: scores differs"):
            destination.publish(exports[3])
    assert not (tmp_path / "new").exists()
    assert sorted(published.folder.rglob("*")) == before
    assert published.labels("电影") == LABELS


DAMAGES = {
    "a truncated graph": ("saved_model.pb", lambda data: data[:-9], "saved_model.pb differs"),
    "an additional file": ("assets/more", None, "assets/more was added"),
    "no checksums": ("assets.extra/SHA256SUMS", "remove", "no readable assets.extra/SHA256SUMS"),
    "no warm-up requests": ("assets.extra/tf_serving_warmup_requests", "remove", "warmup_requests is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_refused(published, exports, tmp_path, damage):
    name, change, message = DAMAGES[damage]
    shutil.copytree(exports[3], tmp_path / "电影" / "3")
    path = tmp_path / "电影" / "3" / name
    if change == "remove":
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()) if change else b"")
    with pytest.raises(InputError, match=message):
        published.publish(tmp_path / "电影" / "3")
    assert published.labels("电影") == LABELS


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda repository: repository.promote("films"), "films has no canary"),
        (lambda repository: repository.rollback("电影"), "has no previous stable version"),
        (lambda repository: repository.rollback("films", canary=True), "has no canary"),
        (lambda repository: repository.prune("films", keep=1), "has no version of films"),
        (lambda repository: repository.prune("电影", keep=0), "must be at least 1"),
        (lambda repository: repository.publish(repository.folder / "电影"), "is not a version of a model"),
        (lambda repository: repository.publish(repository.folder / "电影" / "7"), "is not a version of a model"),
    ],
)
def test_impossible_changes_are_refused(published, call, message):
    with pytest.raises(InputError, match=message):
        call(published)
    assert published.labels("电影") == LABELS


def test_a_folder_that_is_not_a_repository_stays_unchanged(tmp_path):
    for change in ("promote", "rollback"):
        with pytest.raises(InputError, match="is not a model repository"):
            getattr(Repository(tmp_path), change)("films")
    assert list(tmp_path.iterdir()) == []
