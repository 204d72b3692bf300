"""Checks of ids: empty, with stray spaces, repeated, or in one table and not in the other."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfllmrec.data.checks.findings import Finding, finding_at
from tfllmrec.data.checks.id_column import IdColumn

_SPACE = r"\s\p{Z}\p{C}"  # with no-break spaces, zero-width spaces and byte order marks
_STRAY_SPACES = f"^[{_SPACE}]+|[{_SPACE}]+$"
_DIFFERENCES = rf"^[0{_SPACE}]+|(\.0)?[{_SPACE}]*$"


@dataclass(frozen=True, eq=False)
class Entities:
    """Ids of the users or the items of a data set.

    Attributes:
        unit: "users" or "items".
        interactions: their ids in the interactions.
        table: their ids in their own table, or None.
    """

    unit: str
    interactions: IdColumn
    table: IdColumn | None

    @property
    def columns(self) -> list[IdColumn]:
        """Id columns of both tables, or of the interactions alone."""
        return [column for column in (self.interactions, self.table) if column is not None]


def empty_ids(entities: Entities) -> Finding | None:
    """Find rows without an id."""
    codes = np.concatenate([column.codes for column in entities.columns])
    return finding_at(
        codes < 0,
        f"empty ids of {entities.unit}",
        "rows",
        lambda row: f"row {row}",
        "Give every row an id, or remove the rows.",
        refused=True,
    )


def stray_spaces(entities: Entities) -> Finding | None:
    """Find ids that start or end with spaces or invisible characters."""
    ids = pc.unique(pa.chunked_array([column.ids for column in entities.columns]))
    trimmed = pc.replace_substring_regex(ids, _STRAY_SPACES, "")
    has_spaces = pc.not_equal(trimmed, ids)
    twins = pc.sum(pc.and_(has_spaces, pc.is_in(trimmed, value_set=ids))).as_py() or 0
    return finding_at(
        _as_mask(has_spaces),
        f"stray spaces in ids of {entities.unit}",
        entities.unit,
        lambda position: repr(ids[position].as_py()),
        f"Remove spaces and invisible characters at the ends; {twins:,} of these ids exist without them as well.",
    )


def repeated_ids(entities: Entities) -> Finding | None:
    """Find ids that their own table has more than once."""
    if entities.table is None:
        return None
    return finding_at(
        entities.table.counts > 1,
        f"repeated ids of {entities.unit}",
        entities.unit,
        entities.table.show_with_count,
        f"Keep one row of the {entities.unit} table for each id.",
        refused=True,
    )


def unknown_ids(entities: Entities) -> Finding | None:
    """Find ids of the interactions that the entities' own table lacks."""
    if entities.table is None:
        return None
    ids, known = entities.interactions.ids, entities.table.ids
    is_unknown = pc.invert(pc.is_in(ids, value_set=known))
    similar = pc.sum(pc.is_in(_simplified(ids.filter(is_unknown)), value_set=_simplified(known))).as_py() or 0
    effect = {"items": "Training needs a row for each", "users": "These users have no features"}[entities.unit]
    hint = f' {similar:,} differ from a known id only by spaces, case, leading zeros or ".0".' if similar else ""
    return finding_at(
        _as_mask(is_unknown),
        f"unknown {entities.unit}",
        entities.unit,
        entities.interactions.show_with_count,
        f"{effect}; add them to the {entities.unit} table, or remove the interactions.{hint}",
        refused=entities.unit == "items",
    )


def unused_ids(entities: Entities) -> Finding | None:
    """Find ids without interactions."""
    if entities.table is None:
        return None
    table = entities.table
    remedy = {"items": "; `tfllmrec refresh` adds them to an export that reads content", "users": ""}[entities.unit]
    return finding_at(
        _as_mask(pc.invert(pc.is_in(table.ids, value_set=entities.interactions.ids))),
        f"{entities.unit} without interactions",
        entities.unit,
        table.show,
        f"They are left out of training and of recommendations{remedy}.",
    )


def _simplified(ids: pa.Array) -> pa.Array:
    """Return ids in lower case, without spaces, leading zeros and the ".0" of whole floats."""
    return pc.replace_substring_regex(pc.utf8_lower(ids), _DIFFERENCES, "")


def _as_mask(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)


ID_CHECKS = (empty_ids, stray_spaces, repeated_ids, unknown_ids, unused_ids)
