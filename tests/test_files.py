"""Folders appear whole or not at all."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.files import appearing


def test_a_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "a" / "b" / "1"
    with appearing(target) as hidden:
        (hidden / "file").write_text("text")
        assert hidden.parent == target.parent  # so on the same file system
        assert hidden.name.startswith(".")
        assert not target.exists()
    assert (target / "file").read_text() == "text"
    assert [path.name for path in target.parent.iterdir()] == ["1"]
    assert target.stat().st_mode == target.parent.stat().st_mode  # another user's server can read it


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    def write_half():
        with appearing(tmp_path / "a" / "b" / "1") as hidden:
            (hidden / "file").write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(FileNotFoundError), appearing(tmp_path / "2") as hidden:
        (hidden / "no such folder" / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_what_is_there_stays(tmp_path):
    (tmp_path / "file").write_text("mine")
    for taken, message in ((tmp_path / "file", "exists"), (tmp_path / "file" / "1", "cannot be written to")):
        with pytest.raises(InputError, match=message), appearing(taken):
            pass
    assert (tmp_path / "file").read_text() == "mine"
