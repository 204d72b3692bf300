"""What the tests of several folders share."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tfllmrec import cli
from tfllmrec.content.bert import Bert
from tfllmrec.data import Checkerboard, checkerboard

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
for threads in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):  # as many processes as cores; further threads would wait
    os.environ.setdefault(threads, "1")

TOGETHER = ("tests/export/", "tests/serving/")


class InOneProcess(LoadScopeScheduling):
    """Tests that share what is dear to make run in one process: a file, exports, what is served, a tutorial."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        if path.startswith("tests/tutorials/"):
            return nodeid
        return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InOneProcess:
    """See `InOneProcess`."""
    return InOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, lest one process waits for the other at the end."""
    longest = ("export", "serving", "tutorials")
    items.sort(key=lambda item: longest.index(name) if (name := item.path.parent.name) in longest else len(longest))


@pytest.fixture(scope="session")
def board() -> Checkerboard:
    """40 users, 20 items, and the one right answer for every user."""
    return checkerboard()


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A BERT that has learnt nothing, as a folder; vectors of texts are kept beside it, not in the user's cache."""
    import keras
    import keras_nlp

    folder, letters = tmp_path_factory.mktemp("bert"), "abcdefghijklmnopqrstuvwxyz0123456789花样年华电影"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    keras.utils.set_random_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 40}
    tokenizer = keras_nlp.models.BertTokenizer(words, lowercase=True, strip_accents=True)
    Bert(keras_nlp.models.BertBackbone(len(words), **sizes), tokenizer).save(folder / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pooch.os_cache", lambda _: folder)
        yield folder / "tiny"


@pytest.fixture(scope="session")
def quick_ranking(tiny_bert):
    """Options with which the families that rank are fitted in seconds."""
    towers = {"dim": 8, "hidden_units": 8, "epochs": 1}
    lists = {"backbone": str(tiny_bert), "candidates": 10}
    ranker = {**lists, "hidden_units": 8, "epochs": 2, "finetune_epochs": 1, "towers": towers}
    pairs = {**lists, "list_size": 4, "text_length": 12, "title_length": 6, "history_tokens": 20, "epochs": 1}
    merged = {"retrievers": "markov_chain,ease", "candidates": 3, "ranked": 4, "parts": {"bert_ranker": ranker}}
    return {"bert_ranker": ranker, "cross_encoder": pairs, "cascade": merged}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command as a shell would: (exit status, stdout, stderr)."""

    monkeypatch.setattr("tfllmrec.serving.session.disable_xla", lambda: None)  # it is for good, and others need it

    monkeypatch.setattr("tfllmrec.stages.FIRST_SECONDS", 3600.0)  # no lines of progress on a slow machine

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
