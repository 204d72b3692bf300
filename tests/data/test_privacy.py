"""Pseudonyms are what HMAC says and give nothing else away; rare features are blanked, and only those."""

import base64
import hashlib
import hmac
import os
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset, k_anonymous, pseudonymise, pseudonymise_folder, pseudonyms, read_key
from tfllmrec.errors import InputError

KEY = b"correct horse battery"
VARIABLE = "TFLLMREC_PSEUDONYM_KEY"


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "secret.key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


# The key


def test_a_key_is_read_without_the_space_around_it(key_file, monkeypatch):
    key_file.write_bytes(b"\n " + KEY + b" \r\n")
    monkeypatch.setenv(VARIABLE, " another secret of the house\n")
    assert read_key() == b"another secret of the house"
    assert read_key(str(key_file)) == KEY  # a file that is named goes first
    monkeypatch.setenv("OTHER", "sixteen bytes: 16")
    assert read_key(variable="OTHER") == b"sixteen bytes: 16"


def test_a_key_may_be_any_bytes(key_file, monkeypatch):
    noise = bytes(range(100, 256))
    key_file.write_bytes(noise)
    assert read_key(key_file) == noise
    monkeypatch.setitem(os.environ, VARIABLE, os.fsdecode(noise))
    assert read_key() == noise


def test_without_a_key_the_sentence_says_how_to_give_one():
    with pytest.raises(InputError, match=f"give a key file, or set {VARIABLE} to 16 bytes or more"):
        read_key()


@pytest.mark.parametrize("content", ["", "   ", "fifteen bytes..", "   fifteen bytes..   \n"])
def test_a_short_key_is_refused_and_not_shown(key_file, monkeypatch, content):
    key_file.write_text(content)
    monkeypatch.setenv(VARIABLE, content)
    count = len(content.strip())
    for place, call in [(str(key_file), lambda: read_key(key_file)), (VARIABLE, read_key)]:
        with pytest.raises(InputError, match=f"{place}: the key has {count} bytes; take 16 or more") as caught:
            call()
        assert "fifteen" not in str(caught.value)


def test_sixteen_bytes_are_enough(key_file):
    key_file.write_text("sixteen bytes...\n")
    assert read_key(key_file) == b"sixteen bytes..."


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_a_key_file_open_to_everybody_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(InputError, match=r"secret.key is open to every user of this machine: chmod 600 it"):
        read_key(key_file)


def test_a_key_file_of_a_group_is_read(key_file):
    key_file.chmod(0o640)  # as Kubernetes mounts a secret for a group
    assert read_key(key_file) == KEY


def test_a_key_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nowhere cannot be read: No such file"):
        read_key(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_key(tmp_path)


# Pseudonyms


@pytest.mark.parametrize(
    ("key", "each", "digest"),  # cases 1 and 6 of RFC 4231
    [
        (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"\xaa" * 131,
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)
def test_published_answers_of_hmac_sha256(key, each, digest):
    assert base64.b32decode(pseudonyms([each], key)[0].upper()) == bytes.fromhex(digest)[:20]


IDS = st.text(st.characters(), min_size=1, max_size=8)  # accents, emoji, NUL


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(IDS), key=st.binary(min_size=16, max_size=80))
def test_a_pseudonym_is_the_hmac_of_its_id_alone(ids, key):
    found = pseudonyms(ids, key)
    assert (found.dtype, found.shape) == (object, (len(ids),))
    for each, name in zip(ids, found, strict=True):
        digest = hmac.new(key, each.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        assert base64.b32decode(name.upper()) == digest[:20]
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz234567")
        assert len(name) == 32
    assert len(set(found)) == len(set(ids))


def test_ids_are_taken_as_they_are():
    assert len(set(pseudonyms(["é", "e\u0301", "E\u0301", " é", "01", "1", "?", "\ud800", "\ud801"], KEY))) == 9
    ids = pd.Series(["b", "a", "b"], index=[7, 7, 8])
    assert list(pseudonyms(ids, KEY)) == list(pseudonyms((each for each in "bab"), KEY))


def test_another_key_gives_other_pseudonyms():
    assert pseudonyms(["a"], KEY) != pseudonyms(["a"], KEY + b"!")


@pytest.mark.parametrize("bad", ["", None, 1, np.nan, pd.NA])
def test_what_is_no_id_is_refused(bad):
    with pytest.raises(InputError, match="is no id: an id is a string that is not empty"):
        pseudonyms(["a", bad], KEY)


def test_a_short_key_makes_no_pseudonyms():
    with pytest.raises(InputError, match="pseudonyms: the key has 15 bytes"):
        pseudonyms(["a"], KEY[:15])


# Tables


def interactions(rows, columns=("user_id", "item_id", "timestamp")):
    return pd.DataFrame(rows, columns=list(columns))


def of_users(data):
    """The items of every user, oldest first, by user id."""
    rows = range(1, len(data.user_vocabulary) + 1)
    return {data.user_vocabulary.tokens[row]: list(data.item_vocabulary.ids(data.histories.row(row))) for row in rows}


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "7"]), st.sampled_from("abc"), st.integers(0, 99)),
        min_size=1,
        unique_by=lambda row: (row[0], row[2]),  # ties are broken by a hash of the ids
    )
)
def test_histories_are_the_same_up_to_the_names(rows):
    found = pseudonymise(interactions(rows), None, KEY)
    assert found.users is None
    before, after = of_users(Dataset.from_frames(interactions(rows))), of_users(Dataset.from_frames(found.interactions))
    assert after == {pseudonyms([user], KEY)[0]: history for user, history in before.items()}


def test_both_tables_get_the_same_names_whatever_the_type_of_their_ids():
    users = pd.DataFrame({"age": [40, 30], "user_id": [2, 31]})
    before = users.copy()
    found = pseudonymise(interactions([(31.0, "a", 1), (2.0, "b", 2)]), users, KEY)
    assert dict(zip(found.users["user_id"], found.users["age"], strict=True)) == dict(
        zip(pseudonyms(["2", "31"], KEY), [40, 30], strict=True)
    )
    assert set(found.interactions["user_id"]) == set(found.users["user_id"])
    assert list(found.users.columns) == ["age", "user_id"]
    pd.testing.assert_frame_equal(users, before)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_tells_nothing_about_ids(data):
    rows = [(user, item, time) for user in "uvwxyz" for item, time in [("a", 1), ("b", 1), ("c", 1), ("d", 0)]]
    found = pseudonymise(
        interactions(data.draw(st.permutations(rows))),
        pd.DataFrame({"user_id": data.draw(st.permutations("uvwxyz"))}),
        KEY,
    )
    names = sorted(pseudonyms("uvwxyz", KEY))
    assert list(found.interactions["user_id"]) == list(np.repeat(names, 4))
    assert list(found.interactions["item_id"]) == list("dabc") * 6  # in a tie by item: no hash of the old ids
    assert list(found.users["user_id"]) == names
    assert list(found.users.index) == list(range(6))


def test_what_a_frame_carries_beside_its_columns_is_gone():
    table = interactions([("ann", "a", 1)]).set_index(pd.Index(["ann"], name="who"))
    table["user_id"] = table["user_id"].astype("category")
    table.attrs["source"] = "accounts of ann"
    found = pseudonymise(table, table[["user_id"]], KEY)
    for each in (found.interactions, found.users):
        assert not each.attrs
        assert list(each.index) == [0]
        assert each["user_id"].dtype != "category"


def test_text_stays_or_goes_on_request_and_is_counted():
    table = interactions(
        [("u", "a", 1, "Yours, Ann"), ("u", "b", 2, None)], ["user_id", "item_id", "timestamp", "text"]
    )
    kept, dropped = (pseudonymise(table, None, KEY, drop_text=drop) for drop in (False, True))
    assert list(kept.interactions["text"]) == ["Yours, Ann", ""]
    assert list(dropped.interactions.columns) == ["user_id", "item_id", "timestamp"]
    assert "interactions: kept 1 texts of the column text, which may name people" in kept.notes
    assert dropped.notes == (
        "interactions: 2 rows of 1 users have pseudonyms; other columns, not touched: item_id, timestamp",
        "interactions: dropped 1 texts with the column text",
    )
    without = pseudonymise(table.drop(columns="text"), table[["user_id"]][:1], KEY, drop_text=True)
    assert without.notes[1:] == (
        "interactions: there is no column text",
        "users: 1 rows of 1 users have pseudonyms; other columns, not touched: none",
    )


@pytest.mark.parametrize(
    ("users", "message"),
    [({"user_id": ["u", "u"]}, "users: 1 rows repeat a user_id"), ({"age": [3]}, "users: column user_id is missing")],
)
def test_bad_tables_are_refused(users, message):
    with pytest.raises(InputError, match=message):
        pseudonymise(interactions([("u", "a", 1)]), pd.DataFrame(users), KEY)
    with pytest.raises(InputError, match="interactions: column timestamp is missing"):
        pseudonymise(interactions([("u", "a")], ["user_id", "item_id"]), None, KEY)


# Rare features


def people(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"user_id": [f"u{row}" for row in range(count)], **columns})


def values(table):
    """The features row by row, every kind of blank as None."""
    rows = table.drop(columns="user_id").astype(object).itertuples(index=False)
    return [tuple(None if pd.isna(value) or value == "" else value for value in row) for row in rows]


def is_blank(row):
    return all(value is None for value in row)


@st.composite
def random_people(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["", None, "Oslo", "Rome", "Bern"]),
                st.integers(2**60, 2**60 + 2),  # more than a float can tell apart
                st.sampled_from([np.nan, 1.5, 30.0]),
                st.sampled_from([None, "x", "y"]),
                st.booleans(),
            ),
            min_size=1,
            max_size=14,
        )
    )
    table = people(
        **dict(zip(["city", "number", "float", "kind", "flag"], map(list, zip(*rows, strict=True)), strict=True))
    )
    table["kind"] = table["kind"].astype("category")
    chosen = draw(st.sets(st.sampled_from(list(table.columns[1:])), min_size=1))
    return table[["user_id", *[column for column in table.columns if column in chosen]]]


@settings(max_examples=60, deadline=None)
@given(table=random_people(), k=st.integers(2, 4))
def test_every_combination_left_is_shared_and_nothing_else_is_changed(table, k):
    given_table = table.copy()
    found, note = k_anonymous(table, k)
    pd.testing.assert_frame_equal(table, given_table)
    before, after = values(table), values(found)
    assert list(found["user_id"]) == list(table["user_id"])
    assert list(found.columns) == list(table.columns)

    counts = Counter(after)
    assert all(counts[row] >= k or is_blank(row) for row in after)
    for old, new in zip(before, after, strict=True):
        assert all(now is None or now == then for then, now in zip(old, new, strict=True))
        assert old == new or Counter(before)[old] < k  # what k users share stays
    told = [
        f"{sum(old[i] is not None and new[i] is None for old, new in zip(before, after, strict=True))} "
        f"of {sum(old[i] is not None for old in before)} values of {name}"
        for i, name in enumerate(table.columns[1:])
    ]
    assert note == (
        f"users: blanked {', '.join(told)}; every combination left is shared by {k} users or more; "
        f"no feature is known of {sum(map(is_blank, after))} of {len(after)} users"
    )

    again, note = k_anonymous(found, k)
    pd.testing.assert_frame_equal(again, found)
    assert "blanked 0 of" in note


@settings(max_examples=40, deadline=None)
@given(table=random_people(), k=st.integers(2, 4))
def test_a_blank_does_not_tell_whether_there_was_a_value(table, k):
    found, _ = k_anonymous(table, k)
    for name in found.columns[1:]:
        kinds = {repr(value) for value in found[name] if pd.isna(value) or value == ""}
        if (found[name].isna() | found[name].isin([""])).sum() > table[name].isna().sum() + table[name].isin(
            [""]
        ).sum():
            assert len(kinds) == 1
        if found[name].dtype == "category":
            assert set(found[name].cat.categories) == set(found[name].dropna())  # a file would list the others


def test_the_column_with_most_values_goes_first_and_only_where_it_must():
    table = people(
        sex=["f", "f", "f", "f", "m", "m", "m", "x"],
        city=["Oslo", "Oslo", "Rome", "Bern", "Bern", "Rome", "Lima", "Oslo"],
    )
    found, note = k_anonymous(table, 2)
    assert values(found) == [("f", "Oslo")] * 2 + [("f", None)] * 2 + [("m", None)] * 3 + [(None, None)]
    assert note == (
        "users: blanked 1 of 8 values of sex, 6 of 8 values of city; every combination left is shared by 2 users or "
        "more; no feature is known of 1 of 8 users"
    )


def test_of_columns_with_as_many_values_the_first_given_goes_first():
    table = people(one=["a", "b", "", "c"], two=["x", "x", "y", "z"])  # three values each: a blank is none
    assert values(k_anonymous(table, 2)[0]) == [(None, "x"), (None, "x"), (None, None), (None, None)]
    swapped = values(k_anonymous(table, 2, ["two", "one"])[0])
    assert swapped == [(None, None)] * 4  # here x goes before it can be shared


def test_blanked_rows_that_are_rare_together_lose_more():
    table = people(city=["Oslo", "Rome", "Bern", "Bern"], age=[30, 40, 50, 50])
    assert values(k_anonymous(table, 2)[0]) == [(None, None), (None, None), ("Bern", 50), ("Bern", 50)]


def test_only_the_columns_that_are_named_count():
    table = people(city=["Oslo", "Oslo", "Rome"], mail=["a@x", "b@x", "c@x"])
    found, note = k_anonymous(table, 2, ["city"])
    assert list(found["city"]) == ["Oslo", "Oslo", ""]
    assert list(found["mail"]) == ["a@x", "b@x", "c@x"]
    assert "mail" not in note


def test_columns_keep_their_kind():
    table = people(
        age=[1, 1, 2], weight=[1.5, 1.5, 2.5], flag=[True, True, False], born=pd.to_datetime(["2001", "2001", "2002"])
    )
    found, _ = k_anonymous(table, 2)
    assert [str(dtype) for dtype in found.dtypes[1:]] == ["Int64", "float64", "boolean", str(table["born"].dtype)]
    assert values(found)[2] == (None,) * 4


def test_users_without_features_have_nothing_to_blank():
    assert k_anonymous(pd.DataFrame({"user_id": [1]}), 2)[1] == "users: there is no feature to blank"


@pytest.mark.parametrize(
    ("table", "k", "columns", "message"),
    [
        (people(age=[1]), 1, None, "k must be 2 or more, not 1"),
        (people(age=[1]), 2, ["age", "city"], "users: city is no feature; the table has age"),
        (people(age=[1]), 2, ["user_id"], "users: user_id is no feature; the table has age"),
        (people(vector=[[1, 2]]), 2, None, "users: column vector does not hold single values: leave it out"),
        (people(age=[1, 2]).assign(user_id="u"), 2, None, "users: 1 rows repeat a user_id"),
    ],
)
def test_what_cannot_be_made_anonymous_is_refused(table, k, columns, message):
    with pytest.raises(InputError, match=message):
        k_anonymous(table, k, columns)


# Folders and the command


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    rows = ["user_id,item_id,timestamp,text"]
    rows += [f"{user},{item},{time},greetings" for user in ("ann@x", "bob@x") for time, item in enumerate("cab")]
    (path / "interactions.csv").write_text("\n".join(rows))
    (path / "items.csv").write_text("item_id,title,year\nd,nobody had it,\nc,C,2001\na,A,\nb,,1999\n")
    (path / "users.csv").write_text("user_id,city\nbob@x,Rome\nann@x,Oslo\neve@x,Rome\n")
    return path


def everything(folder):
    """All that stands in the files of a folder, decompressed."""
    texts = [path.read_text() for path in folder.glob("*.csv")]
    for path in folder.glob("*.parquet"):
        texts += [pd.read_parquet(path).to_csv(), str(pq.read_schema(path).metadata)]
    return "".join(texts)


def test_a_folder_under_pseudonyms(run, folder, key_file, tmp_path):
    out = tmp_path / "shared" / "films"
    asked = ["pseudonymise", folder, "--out", out, "--key-file", key_file, "--k", 2, "--drop-text"]
    status, printed, told = run(*asked)
    assert (status, told) == (0, "")
    assert printed.splitlines() == [
        "interactions: 6 rows of 2 users have pseudonyms; other columns, not touched: item_id, timestamp",
        "interactions: dropped 6 texts with the column text",
        "users: 3 rows of 3 users have pseudonyms; other columns, not touched: city",
        "users: blanked 1 of 3 values of city; every combination left is shared by 2 users or more; "
        "no feature is known of 1 of 3 users",
    ]
    assert {path.name for path in out.iterdir()} == {"interactions.parquet", "items.csv", "users.parquet"}
    assert (out / "items.csv").read_bytes() == (folder / "items.csv").read_bytes()
    for secret in ("@x", KEY.decode(), "greetings", "Oslo"):
        assert secret not in everything(out)

    ann, bob, eve = pseudonyms(["ann@x", "bob@x", "eve@x"], KEY)
    data = Dataset.from_folder(out)
    assert of_users(data) == {ann: ["c", "a", "b"], bob: ["c", "a", "b"]}
    users = data.users.fillna("").set_index("user_id")["city"]
    assert users.to_dict() == {ann: "", bob: "Rome", eve: "Rome"}

    status, printed, told = run(*asked)
    assert (status, printed) == (2, "")
    assert f"{out} exists already" in told


def test_a_key_from_the_environment_and_nothing_left_out_unasked(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, KEY.decode())
    (folder / "users.csv").unlink()
    pd.read_csv(folder / "items.csv").to_parquet(folder / "items.parquet")
    status, printed, _ = run("pseudonymise", folder, "--out", tmp_path / "out")
    assert status == 0
    assert "kept 6 texts" in printed
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
def test_bad_options_are_one_sentence_and_leave_nothing(run, folder, key_file, tmp_path, arguments, sentence):
    given_options = [argument.format(tmp=tmp_path) for argument in arguments]
    status, printed, told = run("pseudonymise", folder, "--out", tmp_path / "out", *given_options)
    assert (status, printed) == (2, "")
    assert sentence in told
    assert told.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"data", "secret.key"}


def test_k_without_users_and_bad_folders(folder, tmp_path):
    (folder / "users.csv").unlink()
    with pytest.raises(InputError, match="data has no users table whose features k could blank"):
        pseudonymise_folder(folder, tmp_path / "out", KEY, k=2)
    (folder / "interactions.csv").unlink()
    with pytest.raises(InputError, match="data is no data set"):
        pseudonymise_folder(str(folder), str(tmp_path / "out"), KEY)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
