"""Version folders appear whole or not at all."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.export.versions import appearing, existing_versions, free_version


@pytest.fixture
def models(tmp_path):
    for name in ("1", "12", "003", ".tmp-13-abc", "latest", "4x", "五"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_versions_are_numbers(models):
    assert existing_versions(models) == {1, 3, 12}
    assert existing_versions(models / "not there") == set()


def test_the_next_version(models):
    assert free_version(models, None) == 13
    assert free_version(models, 2) == 2
    assert free_version(models / "not there", None) == 1


@pytest.mark.parametrize("version", [1, 3, 12])
def test_a_version_stays_what_it_is(models, version):
    with pytest.raises(InputError, match=f"has a version {version} already"):
        free_version(models, version)


@pytest.mark.parametrize("version", [0, -1])
def test_versions_start_at_one(models, version):
    with pytest.raises(InputError, match="at least 1"):
        free_version(models, version)


def test_a_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "a" / "b" / "1"
    with appearing(target) as hidden:
        (hidden / "file").write_text("text")
        assert hidden.parent == target.parent  # so on the same file system
        assert not target.exists()
        assert existing_versions(target.parent) == set()
    assert (target / "file").read_text() == "text"
    assert [path.name for path in target.parent.iterdir()] == ["1"]
    assert target.stat().st_mode & 0o777 == tmp_path.joinpath("a").stat().st_mode & 0o777


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    def write_half():
        with appearing(tmp_path / "a" / "b" / "1") as hidden:
            (hidden / "file").write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_what_was_there(models):
    before = sorted(models.iterdir())
    with pytest.raises(FileNotFoundError), appearing(models / "13") as hidden:
        (hidden / "no such folder" / "file").touch()
    assert sorted(models.iterdir()) == before


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        free_version(tmp_path / "file", None)
    with (
        pytest.raises(InputError, match="cannot be written to"),
        appearing(tmp_path / "file" / "models" / "1"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"
