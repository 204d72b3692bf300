"""Versions of a model, and a repository with two of them."""

import shutil

import pytest

from tfllmrec.export import export
from tfllmrec.export.checksums import check_checksums, write_checksums
from tfllmrec.repository import Repository, repository


@pytest.fixture(scope="session")
def exports(shared_fits, tmp_path_factory):
    """Three versions of 电影 by number: one export, and copies of it that differ in a file."""
    folder = tmp_path_factory.mktemp("exports") / "电影"
    versions = {1: export(shared_fits("popularity"), folder, version=1)}
    for number in (2, 3):
        versions[number] = shutil.copytree(versions[1], folder / str(number))
        (versions[number] / "assets" / "number").write_text(str(number))
        write_checksums(versions[number])
    return versions


@pytest.fixture
def stub_check(monkeypatch):
    """Reduces the check of a version to its files. The whole check is tested in test_check."""
    monkeypatch.setattr(repository, "check_version", lambda version, *, allow_ops: check_checksums(version))


@pytest.fixture
def published(exports, stub_check, tmp_path):
    """A repository with version 1 stable and version 2 canary."""
    found = Repository(tmp_path / "models")
    for number in (1, 2):
        found.publish(exports[number])
    return found
