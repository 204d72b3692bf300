"""Table files: the parquet and CSV files of a data set folder."""

from pathlib import Path

import pandas as pd

from tfllmrec.errors import InputError


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """Read `<name>.parquet`, or else `<name>.csv`, from a folder; return None if neither exists.

    Raises:
        InputError: If the file cannot be read as a table.
    """
    for path in (folder / f"{name}.parquet", folder / f"{name}.csv"):
        if path.exists():
            return read_table_file(path)
    return None


def read_table_file(path: Path) -> pd.DataFrame:
    """Read a parquet or CSV file.

    Raises:
        InputError: If the file has another suffix or cannot be read as a table.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"{path} is not a table: give a .parquet or .csv file")
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as a {path.suffix[1:]} table: {reason}") from error


def read_items(folder: Path) -> pd.DataFrame:
    """Read the items table of a folder.

    Raises:
        InputError: If it does not exist or cannot be read.
    """
    table = read_table(folder, "items")
    if table is None:
        raise InputError(f"{folder} has neither items.parquet nor items.csv")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV table; ids keep leading zeros, and "NA" is a valid id."""
    text = dict.fromkeys(["user_id", "item_id", "title", "text", "categories", "event", "scenario"], str)
    # low_memory=False infers one type per column instead of one per chunk.
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes surplus first fields for an index
        raise ValueError("its rows have more fields than its header")
    return table
