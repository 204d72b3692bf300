"""Tests of version folders and of the choice of the next version number."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.export.versions import free_version, version_folders


@pytest.fixture
def models(tmp_path):
    for name in ("1", "12", "003", ".tmp-13-abc", "latest", "4x", "五", "²"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_version_folders_have_whole_numbers_as_names(models):
    assert version_folders(models) == {1: models / "1", 3: models / "003", 12: models / "12"}
    assert version_folders(models / "missing") == {}


def test_version_defaults_to_the_highest_plus_one(models):
    assert free_version(models, None) == 13
    assert free_version(models, 2) == 2
    assert free_version(models / "missing", None) == 1


@pytest.mark.parametrize("version", [1, 3, 12])
def test_existing_version_is_refused(models, version):
    with pytest.raises(InputError, match=f"has a version {version} already"):
        free_version(models, version)


@pytest.mark.parametrize("version", [0, -1])
def test_version_below_one_is_refused(models, version):
    with pytest.raises(InputError, match="at least 1"):
        free_version(models, version)


def test_file_instead_of_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        free_version(tmp_path / "file", None)
