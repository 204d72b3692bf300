"""MovieLens data sets of GroupLens: 100k, 1M and latest-small, read from the published zip files.

The ratings may be used for research under GroupLens' terms (a README in every zip). Cite Harper and Konstan,
"The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Literal, NamedTuple
from zipfile import ZipFile

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.download import download

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"


class Tables(NamedTuple):
    """Tables of an archive, in the form that `Dataset.from_frames` takes."""

    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None


@dataclass(frozen=True)
class Archive:
    """Published zip file.

    Attributes:
        file: name of the file; it contains one folder of the same name without ".zip".
        sha256: checksum of the file.
        read: function that reads the tables of the opened zip.
    """

    file: str
    sha256: str
    read: Callable[[ZipFile], Tables]


def load_movielens(
    name: Literal["100k", "1m", "latest-small"],
    *,
    cache: Path | None = None,
    base_url: str = GROUPLENS,
    min_item_interactions: int = 1,
) -> Dataset:
    """Load a MovieLens data set; the zip is downloaded once and verified by its SHA-256.

    | name | ratings | users | films with ratings | user features |
    |---|---|---|---|---|
    | 100k | 100,000 | 943 | 1,682 | age, gender, occupation, zip_code |
    | 1m | 1,000,209 | 6,040 | 3,706 | age (bracket), gender, occupation (code), zip_code |
    | latest-small (of 9/2018) | 100,836 | 610 | 9,724 | none |

    Args:
        name: name of the data set.
        cache: folder for the zip; by default `tfllmrec` in the user's cache folder.
        base_url: address of the zip's folder, such as a mirror if GroupLens cannot be reached.
        min_item_interactions: films with fewer ratings are dropped; counted once, on the whole table.

    Raises:
        InputError: If the file cannot be downloaded or is damaged, or no film has enough ratings.
    """
    archive = ARCHIVES[name]
    path = download(archive.file, archive.sha256, base_url=base_url, cache=cache)
    with ZipFile(path) as opened:
        tables = archive.read(opened)
    return Dataset.from_frames(*tables, min_item_interactions=min_item_interactions)


def _read_100k(archive: ZipFile) -> Tables:
    ratings = _lines(archive, "ml-100k/u.data", "\t", ["user_id", "item_id", "rating", "timestamp"])
    genres = list(_lines(archive, "ml-100k/u.genre", "|", ["genre", "number"])["genre"])
    leading = ["item_id", "title", "release_date", "video_release_date", "imdb_url"]
    films = _lines(archive, "ml-100k/u.item", "|", leading + genres)
    names = np.array(["" if genre == "unknown" else genre for genre in genres], dtype=object)
    flags = films[genres].to_numpy() == "1"
    films["categories"] = ["|".join(filter(None, names[flag])) for flag in flags]
    people = _lines(archive, "ml-100k/u.user", "|", ["user_id", "age", "gender", "occupation", "zip_code"])
    return Tables(ratings, films[["item_id", "title", "categories"]], people.astype({"age": int}))


def _read_1m(archive: ZipFile) -> Tables:
    ratings = _lines(archive, "ml-1m/ratings.dat", "::", ["user_id", "item_id", "rating", "timestamp"])
    films = _lines(archive, "ml-1m/movies.dat", "::", ["item_id", "title", "categories"])
    people = _lines(archive, "ml-1m/users.dat", "::", ["user_id", "gender", "age", "occupation", "zip_code"])
    return Tables(ratings, films, people.astype({"age": int}))


def _read_latest_small(archive: ZipFile) -> Tables:
    names = {"userId": "user_id", "movieId": "item_id", "genres": "categories"}
    ratings, films = (
        pd.read_csv(BytesIO(archive.read(f"ml-latest-small/{table}.csv")), dtype=str, keep_default_na=False)
        for table in ("ratings", "movies")
    )
    films["genres"] = films["genres"].replace("(no genres listed)", "")
    return Tables(ratings.rename(columns=names), films.rename(columns=names), None)


def _lines(archive: ZipFile, member: str, separator: str, columns: list[str]) -> pd.DataFrame:
    """Read a table in GroupLens' older format (Latin-1, no header, no quoting); every column is text."""
    text = archive.read(member).decode("latin-1")
    if len(separator) > 1:  # pandas splits at one character 10 times faster than at several
        text, separator = text.replace(separator, "\t"), "\t"
    return pd.read_csv(
        StringIO(text), sep=separator, names=columns, dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False
    )


ARCHIVES: dict[str, Archive] = {
    "100k": Archive("ml-100k.zip", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", _read_100k),
    "1m": Archive("ml-1m.zip", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", _read_1m),
    "latest-small": Archive(
        "ml-latest-small.zip",
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        _read_latest_small,
    ),
}
