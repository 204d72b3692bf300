"""What the tests of several folders share."""

import os

import pytest

from tfllmrec import cli
from tfllmrec.data import Checkerboard, checkerboard

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported


@pytest.fixture(scope="session")
def board() -> Checkerboard:
    """40 users, 20 items, and the one right answer for every user."""
    return checkerboard()


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command as a shell would: (exit status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["tfllmrec", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        found = capsys.readouterr()
        return stopped.value.code or 0, found.out, found.err

    return run


@pytest.fixture
def no_key_around(monkeypatch):
    """No key of pseudonyms in the environment."""
    monkeypatch.delenv("TFLLMREC_PSEUDONYM_KEY", raising=False)


@pytest.fixture
def key_file(tmp_path):
    """A private file with a key of pseudonyms."""
    path = tmp_path / "secret.key"
    path.write_bytes(b"correct horse battery")
    path.chmod(0o600)
    return path
