"""Fixtures and hooks that the tests of several folders share."""

import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Imports of TensorFlow and of tfllmrec stand in the fixtures: the process that distributes the tests needs neither.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for threads in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):  # there are as many processes as cores
    os.environ.setdefault(threads, "1")

LONGEST = ("serving", "export", "tutorials")
"""Folders that start first. The processes take one each, so that neither waits for a fit of the other for long."""


class ScopeScheduling(LoadScopeScheduling):
    """Run the tests of a file in one process; those of serving/ share their servers, and tutorials share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        if path.startswith("tests/tutorials/"):
            return nodeid
        return "tests/serving/" if path.startswith("tests/serving/") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ScopeScheduling:
    """Distribute the tests by `ScopeScheduling`."""
    return ScopeScheduling(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: both processes must collect equal names, and compressed bytes may hold the time."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest scopes first, so that both processes end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := item.path.parent.name) in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def board():
    """Return a data set of 40 users and 20 items in which every user has one right answer."""
    from tfllmrec.data import checkerboard

    return checkerboard()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """Return a folder that all processes of a test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def tiny_bert(run_folder):
    """Return the folder of an untrained BERT; cached text vectors are stored beside it."""
    import keras
    import keras_nlp
    from shared_fits import once

    from tfllmrec.content.bert import Bert

    def write(folder: Path) -> None:
        letters = "abcdefghijklmnopqrstuvwxyz0123456789花样年华电影"
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
        keras.utils.set_random_seed(0)
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 40}
        tokenizer = keras_nlp.models.BertTokenizer(words, lowercase=True, strip_accents=True)
        Bert(keras_nlp.models.BertBackbone(len(words), **sizes), tokenizer).save(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pooch.os_cache", lambda _: run_folder / "bert")
        yield once(run_folder / "bert" / "tiny", write)


@pytest.fixture(scope="session")
def quick_ranking(tiny_bert):
    """Return options that fit the families that read texts in seconds."""
    from shared_fits import ranking_options

    return ranking_options(tiny_bert)


@pytest.fixture(scope="session")
def shared_fits(run_folder, quick_ranking):
    """Return the fitted recommenders that the suites share."""
    from shared_fits import SMALL_OPTIONS, SharedFits

    return SharedFits(run_folder / "fitted 模型", SMALL_OPTIONS | quick_ranking)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the command as a shell would and returns (exit status, stdout, stderr)."""
    from tfllmrec import cli

    monkeypatch.setattr("tfllmrec.serving.session.disable_xla", lambda: None)  # it cannot be undone
    monkeypatch.setattr("tfllmrec.stages.FIRST_SECONDS", 3600.0)  # no progress lines on a slow machine

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["tfllmrec", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        output = capsys.readouterr()
        return stopped.value.code or 0, output.out, output.err

    return run


@pytest.fixture
def no_key_around(monkeypatch):
    """Remove the pseudonym key from the environment."""
    monkeypatch.delenv("TFLLMREC_PSEUDONYM_KEY", raising=False)


@pytest.fixture
def key_file(tmp_path):
    """Return a private file with a pseudonym key."""
    path = tmp_path / "secret.key"
    path.write_bytes(b"correct horse battery")
    path.chmod(0o600)
    return path
