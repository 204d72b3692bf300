"""Tables that name nobody: pseudonyms in place of user ids.

They do not make the data anonymous: a history is often the only one of its kind (`docs/privacy.md`).
"""

import base64
import hmac
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.k_anonymity import k_anonymous
from tfllmrec.data.table_checks import check_interactions, check_users
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder

_KEY_BYTES = 16
_PSEUDONYM_BYTES = 20  # of 32: enough that no two users meet, and 32 characters of base 32 without padding


class Pseudonymised(NamedTuple):
    """Tables under pseudonyms, and what was done to them, counted, one sentence each."""

    interactions: pd.DataFrame
    users: pd.DataFrame | None
    notes: tuple[str, ...]


def read_key(file: str | Path | None = None, variable: str = "TFLLMREC_PSEUDONYM_KEY") -> bytes:
    """The key of pseudonyms: what stands in `file`, or without one in an environment variable.

    White space around it does not count. A file that every user of the machine may read or write holds no secret and is
    refused.

    Raises:
        InputError: there is no key, it has fewer than 16 bytes, or its file cannot be read or is open to everybody.

    Example:
        >>> os.environ["FILMS_KEY"] = "correct horse battery"
        >>> read_key(variable="FILMS_KEY")
        b'correct horse battery'
    """
    if file is not None:
        return _long_enough(_read_private(Path(file)).strip(), str(file))
    if variable not in os.environ:
        raise InputError(f"pseudonyms need a key: give a key file, or set {variable} to {_KEY_BYTES} bytes or more")
    return _long_enough(os.fsencode(os.environ[variable]).strip(), variable)


def pseudonyms(ids: Iterable[str], key: bytes) -> np.ndarray:
    """A pseudonym for every id, objects [ids]: 160 bits of HMAC-SHA256(key, id) as 32 characters of a-z and 2-7.

    The same id and key give the same pseudonym, in every data set and release. Ids are taken as they are: "é" in two
    ways of Unicode is two ids. Base 32 survives what ids pass through: URLs, spreadsheets, columns that ignore case.

    Raises:
        InputError: an id is empty or no string, or the key has fewer than 16 bytes.

    Example:
        >>> pseudonyms(["42"], b"correct horse battery")
        array(['tqhybpldhke3urnjxrqxfaumswtqnfzo'], dtype=object)
    """
    _long_enough(key, "pseudonyms")
    ids = list(ids)
    for each in ids:
        if not isinstance(each, str) or not each:
            raise InputError(f"pseudonyms: {each!r} is no id: an id is a string that is not empty")
    known = {each: _pseudonym(each, key) for each in set(ids)}
    return np.array([known[each] for each in ids], dtype=object)


def pseudonymise(
    interactions: pd.DataFrame, users: pd.DataFrame | None, key: bytes, *, drop_text: bool = False
) -> Pseudonymised:
    """Checked copies of tables that belong together, with pseudonyms in `user_id`.

    Rows come in the order of the pseudonyms, and inside a history of time and item: the order of the rows given, and
    `Dataset`'s order inside a tie, would give ids away. All other columns stay as they are.

    Args:
        interactions: see `tfllmrec.data.table_checks.check_interactions`.
        users: see `check_users`, or None.
        key: see `read_key`.
        drop_text: leave out the column `text`, in which people write names.

    Raises:
        InputError: a table is not as it must be, or the key is too short.

    Example:
        >>> table = pd.DataFrame({"user_id": ["42"], "item_id": ["a"], "timestamp": [1], "text": ["Yours, Ann"]})
        >>> pseudonymise(table, None, b"correct horse battery", drop_text=True).interactions
                                    user_id item_id  timestamp
        0  tqhybpldhke3urnjxrqxfaumswtqnfzo       a          1
    """
    interactions, text_note = _text_dropped(check_interactions(interactions), drop_text)
    interactions = _renamed(interactions, key, ["user_id", "timestamp", "item_id"])
    users = None if users is None else _renamed(check_users(users), key, ["user_id"])
    notes = [_renaming_note("interactions", interactions), text_note]
    if users is not None:
        notes.append(_renaming_note("users", users))
    return Pseudonymised(interactions, users, tuple(notes))


def pseudonymise_folder(
    folder: str | Path, out: str | Path, key: bytes, *, k: int | None = None, drop_text: bool = False
) -> tuple[str, ...]:
    """Write a data set's folder once more, under pseudonyms and perhaps k-anonymous; the item table is copied.

    Only the three tables are written, in one step, and never the key.

    Args:
        folder: see `Dataset.from_folder`.
        out: a folder that does not exist.
        key: see `read_key`.
        k: see `k_anonymous`; None blanks nothing.
        drop_text: see `pseudonymise`.

    Returns:
        What was done, counted, one sentence each.

    Raises:
        InputError: `out` exists, the data set or an option is not as it must be, or k is given without users.
    """
    folder = Path(folder)
    with atomic_folder(Path(out)) as hidden:
        data = Dataset.from_folder(folder)
        interactions, users, notes = pseudonymise(data.interactions, data.users, key, drop_text=drop_text)
        if k is not None:
            if users is None:
                raise InputError(f"{folder} has no users table whose features k could blank: add it, or leave k out")
            users, note = k_anonymous(users, k)
            notes = (*notes, note)
        interactions.to_parquet(hidden / "interactions.parquet", index=False)
        if users is not None:
            users.to_parquet(hidden / "users.parquet", index=False)
        items = [path for path in (folder / "items.parquet", folder / "items.csv") if path.exists()]
        for path in items[:1]:  # the one that was read
            shutil.copyfile(path, hidden / path.name)
    return notes


def _read_private(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode  # of what is read, not of what the path names a moment later
            content = opened.read()
    except OSError as error:
        raise InputError(f"the key file {file} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InputError(f"the key file {file} is open to every user of this machine: chmod 600 it")
    return content


def _long_enough(key: bytes, place: str) -> bytes:
    if len(key) < _KEY_BYTES:
        raise InputError(f"{place}: the key has {len(key)} bytes; take {_KEY_BYTES} or more that nobody can guess")
    return key


def _pseudonym(each: str, key: bytes) -> str:
    digest = hmac.digest(key, each.encode("utf-8", "surrogatepass"), "sha256")
    return base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii").lower()


def _renamed(table: pd.DataFrame, key: bytes, order: list[str]) -> pd.DataFrame:
    table = table.assign(user_id=pseudonyms(table["user_id"], key)).sort_values(order, ignore_index=True)
    table.attrs = {}  # whatever somebody noted there would go into the parquet file
    return table


def _text_dropped(interactions: pd.DataFrame, drop: bool) -> tuple[pd.DataFrame, str]:
    if "text" not in interactions:
        return interactions, "interactions: there is no column text"
    count = int((interactions["text"] != "").sum())
    if drop:
        return interactions.drop(columns="text"), f"interactions: dropped {count:,} texts with the column text"
    return interactions, f"interactions: kept {count:,} texts of the column text, which may name people"


def _renaming_note(name: str, table: pd.DataFrame) -> str:
    others = ", ".join(str(column) for column in table.columns if column != "user_id") or "none"
    count = table["user_id"].nunique()
    return f"{name}: {len(table):,} rows of {count:,} users have pseudonyms; other columns, not touched: {others}"
