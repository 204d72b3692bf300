"""Named data sets: `load_dataset`, the function behind `--data NAME_OR_FOLDER`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tfllmrec.arguments import path_of
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.demo import load_demo
from tfllmrec.data.movielens import load_movielens
from tfllmrec.errors import InputError

NAMED: dict[str, Callable[..., Dataset]] = {
    "demo": load_demo,
    "ml-100k": partial(load_movielens, "100k"),
    "ml-1m": partial(load_movielens, "1m"),
    "ml-latest-small": partial(load_movielens, "latest-small"),
}

# 60 % of the demo's films have fewer than five ratings, too few to learn from.
_DEMO_MINIMUM = 5


def load_dataset(
    name_or_folder: str | Path,
    *,
    min_item_interactions: int | None = None,
    positions: bool = False,
    separator: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
) -> Dataset:
    """Load a named data set, or a data set folder.

    Args:
        name_or_folder: "demo", "ml-100k", "ml-1m" or "ml-latest-small". Any other string and every `Path` is a folder
            for `Dataset.from_folder`; write "./demo" for a folder with one of these names.
        min_item_interactions: items with fewer interactions are dropped; by default 5 for the demo, else 1.
        positions: the timestamps of the folder are positions in a user's history, not times.
        separator: of the folder's CSV files; see `tfllmrec.data.table_files.read_table_file`.
        encoding: of the folder's CSV files; see `tfllmrec.data.table_files.read_table_file`.
        date_format: of the folder's timestamps; see `Dataset.from_frames`.

    Raises:
        InputError: If the name or folder does not exist, an option for folders is set for a named data set, or the data
            cannot be downloaded or read.

    Example:
        >>> load_dataset("demo").summary()
        {'interactions': 90072, 'users': 671, 'items': 3496}
    """
    path_of("load_dataset", "name_or_folder", name_or_folder)
    if min_item_interactions is None:
        min_item_interactions = _DEMO_MINIMUM if name_or_folder == "demo" else 1
    if isinstance(name_or_folder, str) and name_or_folder in NAMED:
        for_folders = {"positions": positions, "separator": separator, "encoding": encoding, "date_format": date_format}
        unused = [option for option, value in for_folders.items() if value]
        if unused:
            raise InputError(f"{name_or_folder}: leave out {', '.join(unused)}, which is for folders")
        return NAMED[name_or_folder](min_item_interactions=min_item_interactions)
    if not Path(name_or_folder).is_dir():
        raise InputError(f"{name_or_folder} is neither a folder nor one of {', '.join(NAMED)}")
    return Dataset.from_folder(
        name_or_folder,
        positions=positions,
        min_item_interactions=min_item_interactions,
        separator=separator,
        encoding=encoding,
        date_format=date_format,
    )
