"""Tables on disk: parquet or CSV files of a data set's folder."""

from pathlib import Path

import pandas as pd

from tfllmrec.errors import InputError


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """`<name>.parquet` or `<name>.csv`, whichever is there; None where neither is.

    Raises:
        InputError: it cannot be read as such a table.
    """
    for path in (folder / f"{name}.parquet", folder / f"{name}.csv"):
        if path.exists():
            return read_table_file(path)
    return None


def read_table_file(path: Path) -> pd.DataFrame:
    """The table of a parquet or CSV file.

    Raises:
        InputError: it cannot be read as such a table.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"{path} is no table: give a .parquet or .csv file")
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as a {path.suffix[1:]} table: {reason}") from error


def read_items(folder: Path) -> pd.DataFrame:
    """The table of items of a folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    table = read_table(folder, "items")
    if table is None:
        raise InputError(f"{folder} has neither items.parquet nor items.csv")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    """A CSV table whose ids keep leading zeros and may be called "NA"."""
    text = dict.fromkeys(["user_id", "item_id", "title", "text", "categories", "event", "scenario"], str)
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)  # one type a column
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first fields for an index
        raise ValueError("its rows have more fields than its header")
    return table
