"""Check the tables of a data set folder."""

import time
from collections.abc import Mapping
from pathlib import Path

from tfllmrec.data.checks.column_file import ColumnFile
from tfllmrec.data.checks.id_checks import ID_CHECKS, Entities
from tfllmrec.data.checks.id_column import IdColumn
from tfllmrec.data.checks.interaction_checks import INTERACTION_CHECKS, gini_coefficient, top_share
from tfllmrec.data.checks.interactions import Interactions
from tfllmrec.data.checks.number_reading import read_times, unreadable_ratings
from tfllmrec.data.checks.report import CheckReport
from tfllmrec.data.checks.time_checks import TIME_CHECKS, future_dates
from tfllmrec.data.table_files import table_file
from tfllmrec.errors import InputError


def check_folder(
    folder: str | Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    now: float | None = None,
) -> CheckReport:
    """Find what is odd in the tables of a folder.

    Reads one column at a time: ten million interactions take a gigabyte.

    Args:
        folder: see `Dataset.from_folder`.
        separator: see `Dataset.from_folder`.
        encoding: see `Dataset.from_folder`.
        date_format: see `Dataset.from_folder`.
        now: Unix seconds; later dates are in the future. The present by default.

    Raises:
        InputError: If there is no interaction table, a file cannot be read, or a column is missing.
    """
    folder = Path(folder)
    csv_options = {"separator": separator, "encoding": encoding}
    table = _open(folder, "interactions", ["user_id", "item_id", "timestamp"], csv_options)
    if table is None:
        raise InputError(f"{folder} is not a data set: it has neither interactions.parquet nor interactions.csv")
    users = _entities(table, _open(folder, "users", ["user_id"], csv_options), "users", "user_id")
    items = _entities(table, _open(folder, "items", ["item_id", "title"], csv_options), "items", "item_id")
    times, unreadable = read_times(table.column("timestamp"), date_format)
    findings = [unreadable, *(check(entities) for entities in (users, items) for check in ID_CHECKS)]
    if "rating" in table.names:
        findings.append(unreadable_ratings(table.column("rating")))

    rows = Interactions(users.interactions, items.interactions, times).valid()
    if len(rows):
        findings += [check(rows) for check in (*INTERACTION_CHECKS, *TIME_CHECKS)]
        findings.append(future_dates(rows, time.time() if now is None else now))
    return CheckReport(_summary(rows), tuple(finding for finding in findings if finding))


def _open(folder: Path, name: str, required: list[str], csv_options: Mapping[str, str | None]) -> ColumnFile | None:
    """Open a table; return None if it does not exist."""
    path = table_file(folder, name)
    if path is None:
        return None
    table = ColumnFile(path, **csv_options)
    missing = [column for column in required if column not in table.names]
    if missing:
        columns = ", ".join(table.names)
        raise InputError(f"{name}: column {', '.join(missing)} is missing; the table has {columns}")
    return table


def _entities(interactions: ColumnFile, own: ColumnFile | None, unit: str, column: str) -> Entities:
    """Encode the ids of users or items in the interactions and in their own table."""
    return Entities(unit, _ids(interactions, column), None if own is None else _ids(own, column))


def _ids(table: ColumnFile, name: str) -> IdColumn:
    ids = IdColumn.from_chunks(table.chunks(name), f"{table.table}: column {name}")
    return ids.without_fractions() if table.is_text else ids


def _summary(rows: Interactions) -> dict[str, float]:
    counts = rows.items.counts
    sizes: dict[str, float] = {"interactions": len(rows), "users": len(rows.users.ids), "items": len(rows.items.ids)}
    if not len(rows):
        return sizes
    skew = {"top_1_percent_share": top_share(counts), "gini": gini_coefficient(counts)}
    return sizes | {name: round(value, 4) for name, value in skew.items()}
