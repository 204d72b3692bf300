"""`atomic_folder`: a folder exists whole or not at all."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


def test_folder_exists_after_the_block(tmp_path):
    target = tmp_path / "a" / "b" / "1"
    with atomic_folder(target) as staging:
        (staging / "file").write_text("text")
        assert staging.parent == target.parent  # the same file system
        assert staging.name.startswith(".")
        assert not target.exists()
    assert (target / "file").read_text() == "text"
    assert [path.name for path in target.parent.iterdir()] == ["1"]
    assert target.stat().st_mode == target.parent.stat().st_mode  # readable for a server that runs as another user


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_removes_folder_and_created_parents(tmp_path, error):
    def write_and_fail():
        with atomic_folder(tmp_path / "a" / "b" / "1") as staging:
            (staging / "file").write_text("half")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_error_keeps_existing_siblings(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "2") as staging:
        (staging / "no such folder" / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_existing_target_is_refused_and_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target, message in ((tmp_path / "file", "exists"), (tmp_path / "file" / "1", "cannot be written to")):
        with pytest.raises(InputError, match=message), atomic_folder(target):
            pass
    assert (tmp_path / "file").read_text() == "mine"
