"""The command pseudonymise: the tables it writes, and arguments that it refuses."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tfllmrec.data import Dataset, pseudonymise_folder, pseudonyms
from tfllmrec.errors import InputError

KEY = b"correct horse battery"  # the content of `key_file`
VARIABLE = "TFLLMREC_PSEUDONYM_KEY"

pytestmark = pytest.mark.usefixtures("no_key_around")


def items_by_user(data):
    """Return the items of each user, oldest first, by user id."""
    rows = range(1, len(data.user_vocabulary) + 1)
    return {data.user_vocabulary.tokens[row]: list(data.item_vocabulary.ids(data.histories.row(row))) for row in rows}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    rows = ["user_id,item_id,timestamp,text"]
    rows += [f"{user},{item},{time},greetings" for user in ("ann@x", "bob@x") for time, item in enumerate("cab")]
    (path / "interactions.csv").write_text("\n".join(rows))
    (path / "items.csv").write_text("item_id,title,year\nd,no interactions,\nc,C,2001\na,A,\nb,,1999\n")
    (path / "users.csv").write_text("user_id,city\nbob@x,Rome\nann@x,Oslo\neve@x,Rome\n")
    return path


def decompressed_text(folder):
    """Return the contents of all files in a folder as text."""
    texts = [path.read_text() for path in folder.glob("*.csv")]
    for path in folder.glob("*.parquet"):
        texts += [pd.read_parquet(path).to_csv(), str(pq.read_schema(path).metadata)]
    return "".join(texts)


def test_user_ids_are_replaced_by_pseudonyms(run, folder, key_file, tmp_path):
    out = tmp_path / "shared" / "films"
    command = ["pseudonymise", folder, "--out", out, "--key-file", key_file, "--k", 2, "--drop-text"]
    status, stdout, stderr = run(*command)
    assert (status, stderr) == (0, "")
    assert stdout.splitlines() == [
        "interactions: 6 rows of 2 users have pseudonyms; unchanged columns: item_id, timestamp",
        "interactions: dropped 6 texts with the column text",
        "users: 3 rows of 3 users have pseudonyms; unchanged columns: city",
        "users: blanked 1 of 3 values of city; 2 or more users share every remaining combination; "
        "1 of 3 users have no feature left",
    ]
    assert {path.name for path in out.iterdir()} == {"interactions.parquet", "items.csv", "users.parquet"}
    assert (out / "items.csv").read_bytes() == (folder / "items.csv").read_bytes()
    for secret in ("@x", KEY.decode(), "greetings", "Oslo"):
        assert secret not in decompressed_text(out)

    ann, bob, eve = pseudonyms(["ann@x", "bob@x", "eve@x"], KEY)
    data = Dataset.from_folder(out)
    assert items_by_user(data) == {ann: ["c", "a", "b"], bob: ["c", "a", "b"]}
    users = data.users.fillna("").set_index("user_id")["city"]
    assert users.to_dict() == {ann: "", bob: "Rome", eve: "Rome"}

    status, stdout, stderr = run(*command)
    assert (status, stdout) == (2, "")
    assert f"{out} already exists" in stderr


def test_the_key_is_read_from_the_environment_and_texts_are_kept_by_default(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, KEY.decode())
    (folder / "users.csv").unlink()
    pd.read_csv(folder / "items.csv").to_parquet(folder / "items.parquet")
    status, stdout, _ = run("pseudonymise", folder, "--out", tmp_path / "out")
    assert status == 0
    assert "kept 6 texts" in stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"interactions.parquet", "items.parquet"}
    assert (tmp_path / "out" / "items.parquet").read_bytes() == (folder / "items.parquet").read_bytes()
    assert list(Dataset.from_folder(tmp_path / "out").interactions["text"]) == ["greetings"] * 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--key-file", "{tmp}/nowhere"], "nowhere cannot be read"),
        ([], f"set {VARIABLE}"),
        (["--key-file", "{tmp}/secret.key", "--k", "1"], "k must be 2 or more, not 1"),
    ],
)
def test_bad_options_are_refused_in_one_sentence_and_write_nothing(
    run, folder, key_file, tmp_path, arguments, sentence
):
    options = [argument.format(tmp=tmp_path) for argument in arguments]
    status, stdout, stderr = run("pseudonymise", folder, "--out", tmp_path / "out", *options)
    assert (status, stdout) == (2, "")
    assert sentence in stderr
    assert stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"data", "secret.key"}


def test_k_without_a_users_table_and_bad_folders_are_refused(folder, tmp_path):
    (folder / "users.csv").unlink()
    with pytest.raises(InputError, match="data has no users table, which k applies to: add the table"):
        pseudonymise_folder(folder, tmp_path / "out", KEY, k=2)
    (folder / "interactions.csv").unlink()
    with pytest.raises(InputError, match="data is not a data set"):
        pseudonymise_folder(str(folder), str(tmp_path / "out"), KEY)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_tables_in_another_encoding_and_date_format(run, tmp_path, key_file):
    (tmp_path / "data").mkdir()
    rows = "user_id;item_id;timestamp\n甲;a;09/03/2024\n甲;b;10/03/2024\n"
    (tmp_path / "data" / "interactions.csv").write_text(rows, encoding="gb18030")
    options = ("--encoding", "gb18030", "--date-format", "%d/%m/%Y")
    command = ("pseudonymise", tmp_path / "data", "--out", tmp_path / "out", "--key-file", key_file)
    status, _, stderr = run(*command, *options[:2])
    assert (status, "day and month are ambiguous" in stderr) == (2, True)
    assert run(*command, *options)[0] == 0
    table = pd.read_parquet(tmp_path / "out" / "interactions.parquet")
    assert table["timestamp"].tolist() == [1709942400.0, 1710028800.0]
    assert set(table["user_id"]) == set(pseudonyms(["甲"], KEY))
