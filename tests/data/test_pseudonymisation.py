"""Pseudonymisation: keys, HMAC-SHA256 pseudonyms, and tables that reveal nothing else about ids."""

import base64
import hashlib
import hmac
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset, pseudonymise, pseudonyms, read_key
from tfllmrec.errors import InputError

KEY = b"correct horse battery"  # the content of `key_file`
VARIABLE = "TFLLMREC_PSEUDONYM_KEY"

pytestmark = pytest.mark.usefixtures("no_key_around")


# The key


def test_key_is_stripped(key_file, monkeypatch):
    key_file.write_bytes(b"\n " + KEY + b" \r\n")
    monkeypatch.setenv(VARIABLE, " another secret of the house\n")
    assert read_key() == b"another secret of the house"
    assert read_key(str(key_file)) == KEY  # an explicit file has precedence
    monkeypatch.setenv("OTHER", "sixteen bytes: 16")
    assert read_key(variable="OTHER") == b"sixteen bytes: 16"


def test_key_may_be_any_bytes(key_file, monkeypatch):
    noise = bytes(range(100, 256))
    key_file.write_bytes(noise)
    assert read_key(key_file) == noise
    monkeypatch.setitem(os.environ, VARIABLE, os.fsdecode(noise))
    assert read_key() == noise


def test_missing_key_is_refused():
    with pytest.raises(InputError, match=f"give a key file, or set {VARIABLE} to 16 bytes or more"):
        read_key()


@pytest.mark.parametrize("content", ["", "   ", "fifteen bytes..", "   fifteen bytes..   \n"])
def test_short_key_is_refused_and_not_shown(key_file, monkeypatch, content):
    key_file.write_text(content)
    monkeypatch.setenv(VARIABLE, content)
    count = len(content.strip())
    for source, call in [(str(key_file), lambda: read_key(key_file)), (VARIABLE, read_key)]:
        with pytest.raises(InputError, match=f"{source}: the key has {count} bytes; give 16 or more") as caught:
            call()
        assert "fifteen" not in str(caught.value)


def test_sixteen_bytes_are_enough(key_file):
    key_file.write_text("sixteen bytes...\n")
    assert read_key(key_file) == b"sixteen bytes..."


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_key_file_open_to_all_users_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(InputError, match=r"secret.key is open to every user of this machine: chmod 600 it"):
        read_key(key_file)


def test_key_file_readable_by_a_group_is_accepted(key_file):
    key_file.chmod(0o640)  # as Kubernetes mounts a secret for a group
    assert read_key(key_file) == KEY


def test_unreadable_key_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere cannot be read: No such file"):
        read_key(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_key(tmp_path)


# Pseudonyms


@pytest.mark.parametrize(
    ("key", "user_id", "digest"),  # cases 1 and 6 of RFC 4231
    [
        (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"\xaa" * 131,
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)
def test_hmac_sha256_test_vectors(key, user_id, digest):
    assert base64.b32decode(pseudonyms([user_id], key)[0].upper()) == bytes.fromhex(digest)[:20]


IDS = st.text(st.characters(), min_size=1, max_size=8)  # accents, emoji, NUL


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(IDS), key=st.binary(min_size=16, max_size=80))
def test_pseudonym_is_the_hmac_of_its_id(ids, key):
    names = pseudonyms(ids, key)
    assert (names.dtype, names.shape) == (object, (len(ids),))
    for user_id, name in zip(ids, names, strict=True):
        digest = hmac.new(key, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        assert base64.b32decode(name.upper()) == digest[:20]
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz234567")
        assert len(name) == 32
    assert len(set(names)) == len(set(ids))


def test_ids_are_not_normalised():
    assert len(set(pseudonyms(["é", "e\u0301", "E\u0301", " é", "01", "1", "?", "\ud800", "\ud801"], KEY))) == 9
    ids = pd.Series(["b", "a", "b"], index=[7, 7, 8])
    assert list(pseudonyms(ids, KEY)) == list(pseudonyms((user_id for user_id in "bab"), KEY))


def test_pseudonyms_depend_on_the_key():
    assert pseudonyms(["a"], KEY) != pseudonyms(["a"], KEY + b"!")


@pytest.mark.parametrize("bad", ["", None, 1, np.nan, pd.NA])
def test_invalid_id_is_refused(bad):
    with pytest.raises(InputError, match="is not an id: give non-empty strings"):
        pseudonyms(["a", bad], KEY)


def test_pseudonyms_refuse_a_short_key():
    with pytest.raises(InputError, match="pseudonyms: the key has 15 bytes"):
        pseudonyms(["a"], KEY[:15])


# Tables


def interactions(rows, columns=("user_id", "item_id", "timestamp")):
    return pd.DataFrame(rows, columns=list(columns))


def items_by_user(data):
    """Return the items of every user, oldest first, by user id."""
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
def test_histories_are_unchanged(rows):
    result = pseudonymise(interactions(rows), None, KEY)
    assert result.users is None
    before, after = (
        items_by_user(Dataset.from_frames(interactions(rows))),
        items_by_user(Dataset.from_frames(result.interactions)),
    )
    assert after == {pseudonyms([user], KEY)[0]: history for user, history in before.items()}


def test_tables_with_ids_of_different_types_get_the_same_pseudonyms():
    users = pd.DataFrame({"age": [40, 30], "user_id": [2, 31]})
    before = users.copy()
    result = pseudonymise(interactions([(31.0, "a", 1), (2.0, "b", 2)]), users, KEY)
    assert dict(zip(result.users["user_id"], result.users["age"], strict=True)) == dict(
        zip(pseudonyms(["2", "31"], KEY), [40, 30], strict=True)
    )
    assert set(result.interactions["user_id"]) == set(result.users["user_id"])
    assert list(result.users.columns) == ["age", "user_id"]
    pd.testing.assert_frame_equal(users, before)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_row_order_reveals_nothing_about_ids(data):
    rows = [(user, item, time) for user in "uvwxyz" for item, time in [("a", 1), ("b", 1), ("c", 1), ("d", 0)]]
    result = pseudonymise(
        interactions(data.draw(st.permutations(rows))),
        pd.DataFrame({"user_id": data.draw(st.permutations("uvwxyz"))}),
        KEY,
    )
    names = sorted(pseudonyms("uvwxyz", KEY))
    assert list(result.interactions["user_id"]) == list(np.repeat(names, 4))
    assert list(result.interactions["item_id"]) == list("dabc") * 6  # ties by item, not by a hash of the original ids
    assert list(result.users["user_id"]) == names
    assert list(result.users.index) == list(range(6))


def test_index_attributes_and_categories_are_dropped():
    table = interactions([("ann", "a", 1)]).set_index(pd.Index(["ann"], name="who"))
    table["user_id"] = table["user_id"].astype("category")
    table.attrs["source"] = "accounts of ann"
    result = pseudonymise(table, table[["user_id"]], KEY)
    for frame in (result.interactions, result.users):
        assert not frame.attrs
        assert list(frame.index) == [0]
        assert frame["user_id"].dtype != "category"


def test_text_is_kept_or_dropped_and_counted():
    table = interactions(
        [("u", "a", 1, "Yours, Ann"), ("u", "b", 2, None)], ["user_id", "item_id", "timestamp", "text"]
    )
    kept, dropped = (pseudonymise(table, None, KEY, drop_text=drop) for drop in (False, True))
    assert list(kept.interactions["text"]) == ["Yours, Ann", ""]
    assert list(dropped.interactions.columns) == ["user_id", "item_id", "timestamp"]
    assert "interactions: kept 1 texts of the column text, which may contain names" in kept.notes
    assert dropped.notes == (
        "interactions: 2 rows of 1 users have pseudonyms; unchanged columns: item_id, timestamp",
        "interactions: dropped 1 texts with the column text",
    )
    without = pseudonymise(table.drop(columns="text"), table[["user_id"]][:1], KEY, drop_text=True)
    assert without.notes[1:] == (
        "interactions: there is no column text",
        "users: 1 rows of 1 users have pseudonyms; unchanged columns: none",
    )


@pytest.mark.parametrize(
    ("users", "message"),
    [({"user_id": ["u", "u"]}, "users: 1 rows repeat a user_id"), ({"age": [3]}, "users: column user_id is missing")],
)
def test_invalid_tables_are_refused(users, message):
    with pytest.raises(InputError, match=message):
        pseudonymise(interactions([("u", "a", 1)]), pd.DataFrame(users), KEY)
    with pytest.raises(InputError, match="interactions: column timestamp is missing"):
        pseudonymise(interactions([("u", "a")], ["user_id", "item_id"]), None, KEY)
