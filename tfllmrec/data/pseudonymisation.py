"""Pseudonymisation of data sets: keyed hashes in place of user ids.

Pseudonyms do not make the data anonymous: a history often identifies its user (`docs/guides/privacy.md`).
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

from tfllmrec.arguments import path_of, require_type
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.k_anonymity import k_anonymous
from tfllmrec.data.table_checks import check_interactions, check_users
from tfllmrec.data.table_files import table_file
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder

_KEY_BYTES = 16
_PSEUDONYM_BYTES = 20  # of 32: collisions stay improbable, and 32 characters of base 32 need no padding


class Pseudonymised(NamedTuple):
    """Tables with pseudonyms, and one sentence per change with its count."""

    interactions: pd.DataFrame
    users: pd.DataFrame | None
    notes: tuple[str, ...]


def read_key(file: str | Path | None = None, variable: str = "TFLLMREC_PSEUDONYM_KEY") -> bytes:
    """Read the key of the pseudonyms from `file`, or else from an environment variable.

    Surrounding white space is removed. A file that every user of the machine may read or write is refused.

    Raises:
        InputError: If there is no key, it has fewer than 16 bytes, or its file cannot be read or is open to all users.

    Example:
        >>> import os
        >>> os.environ["FILMS_KEY"] = "correct horse battery"
        >>> read_key(variable="FILMS_KEY")
        b'correct horse battery'
    """
    if file is not None:
        return _check_length(_read_private(Path(file)).strip(), str(file))
    if variable not in os.environ:
        raise InputError(f"pseudonyms need a key: give a key file, or set {variable} to {_KEY_BYTES} bytes or more")
    return _check_length(os.fsencode(os.environ[variable]).strip(), variable)


def pseudonyms(ids: Iterable[str], key: bytes) -> np.ndarray:
    """Return a pseudonym for every id: 160 bits of HMAC-SHA256(key, id) as 32 characters of a-z and 2-7.

    The same id and key give the same pseudonym in every data set and release. Ids are not normalised: the two Unicode
    forms of "é" are two ids. Base 32 survives URLs, spreadsheets and case-insensitive columns.

    Returns:
        Objects [ids].

    Raises:
        InputError: If an id is empty or not a string, or the key has fewer than 16 bytes.

    Example:
        >>> pseudonyms(["42"], b"correct horse battery")
        array(['tqhybpldhke3urnjxrqxfaumswtqnfzo'], dtype=object)
    """
    _check_length(key, "pseudonyms")
    ids = list(ids)
    for user_id in ids:
        if not isinstance(user_id, str) or not user_id:
            raise InputError(f"pseudonyms: {user_id!r} is not an id: give non-empty strings")
    by_id = {user_id: _pseudonym(user_id, key) for user_id in set(ids)}
    return np.array([by_id[user_id] for user_id in ids], dtype=object)


def pseudonymise(
    interactions: pd.DataFrame, users: pd.DataFrame | None, key: bytes, *, drop_text: bool = False
) -> Pseudonymised:
    """Return checked copies of the tables of a data set with pseudonyms in `user_id`.

    Rows are sorted by pseudonym, and within a history by time and item, because the given row order and the order of
    ties in a `Dataset` would reveal information about the ids. All other columns are unchanged.

    Args:
        interactions: see `tfllmrec.data.table_checks.check_interactions`.
        users: see `check_users`, or None.
        key: see `read_key`.
        drop_text: whether to drop the column `text`, which may contain names.

    Raises:
        InputError: If a table is invalid, or the key is too short.

    Example:
        >>> table = pd.DataFrame({"user_id": ["42"], "item_id": ["a"], "timestamp": [1], "text": ["Yours, Ann"]})
        >>> pseudonymise(table, None, b"correct horse battery", drop_text=True).interactions
                                    user_id item_id  timestamp
        0  tqhybpldhke3urnjxrqxfaumswtqnfzo       a          1
    """
    require_type("pseudonymise", "key", key, bytes, "pass bytes, such as read_key(file)")
    interactions, text_note = _handle_text(check_interactions(interactions), drop=drop_text)
    interactions = _with_pseudonyms(interactions, key, ["user_id", "timestamp", "item_id"])
    users = None if users is None else _with_pseudonyms(check_users(users), key, ["user_id"])
    notes = [_pseudonyms_note("interactions", interactions), text_note]
    if users is not None:
        notes.append(_pseudonyms_note("users", users))
    return Pseudonymised(interactions, users, tuple(notes))


def pseudonymise_folder(
    folder: str | Path,
    out: str | Path,
    key: bytes,
    *,
    k: int | None = None,
    drop_text: bool = False,
    separator: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
) -> tuple[str, ...]:
    """Write a pseudonymised, optionally k-anonymous copy of a data set folder; the items table is copied unchanged.

    Only the three tables are written, atomically; the key is not stored.

    Args:
        folder: see `Dataset.from_folder`.
        out: a folder that does not exist.
        key: see `read_key`.
        k: see `k_anonymous`; None blanks nothing.
        drop_text: see `pseudonymise`.
        separator: see `Dataset.from_folder`.
        encoding: see `Dataset.from_folder`.
        date_format: see `Dataset.from_folder`.

    Returns:
        One sentence per change with its count.

    Raises:
        InputError: If `out` exists, the data set or an option is invalid, or k is given without a users table.
    """
    folder, out = path_of("pseudonymise_folder", "folder", folder), path_of("pseudonymise_folder", "out", out)
    with atomic_folder(out) as staging:
        data = Dataset.from_folder(folder, separator=separator, encoding=encoding, date_format=date_format)
        interactions, users, notes = pseudonymise(data.interactions, data.users, key, drop_text=drop_text)
        if k is not None:
            if users is None:
                raise InputError(f"{folder} has no users table, which k applies to: add the table or leave out k")
            users, note = k_anonymous(users, k)
            notes = (*notes, note)
        interactions.to_parquet(staging / "interactions.parquet", index=False)
        if users is not None:
            users.to_parquet(staging / "users.parquet", index=False)
        if path := table_file(folder, "items"):
            shutil.copyfile(path, staging / path.name)
    return notes


def _read_private(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode  # of the opened file, which the path may no longer name
            content = opened.read()
    except OSError as error:
        raise InputError(f"the key file {file} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InputError(f"the key file {file} is open to every user of this machine: chmod 600 it")
    return content


def _check_length(key: bytes, source: str) -> bytes:
    if len(key) < _KEY_BYTES:
        raise InputError(f"{source}: the key has {len(key)} bytes; give {_KEY_BYTES} or more random bytes")
    return key


def _pseudonym(user_id: str, key: bytes) -> str:
    digest = hmac.digest(key, user_id.encode("utf-8", "surrogatepass"), "sha256")
    return base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii").lower()


def _with_pseudonyms(table: pd.DataFrame, key: bytes, order: list[str]) -> pd.DataFrame:
    table = table.assign(user_id=pseudonyms(table["user_id"], key)).sort_values(order, ignore_index=True)
    table.attrs = {}  # parquet files store the attributes
    return table


def _handle_text(interactions: pd.DataFrame, *, drop: bool) -> tuple[pd.DataFrame, str]:
    if "text" not in interactions:
        return interactions, "interactions: there is no column text"
    count = int((interactions["text"] != "").sum())
    if drop:
        return interactions.drop(columns="text"), f"interactions: dropped {count:,} texts with the column text"
    return interactions, f"interactions: kept {count:,} texts of the column text, which may contain names"


def _pseudonyms_note(name: str, table: pd.DataFrame) -> str:
    others = ", ".join(str(column) for column in table.columns if column != "user_id") or "none"
    count = table["user_id"].nunique()
    return f"{name}: {len(table):,} rows of {count:,} users have pseudonyms; unchanged columns: {others}"
