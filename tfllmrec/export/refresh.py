"""New items in a served index: the next version of an export, with no training."""

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.card import signatures_of
from tfllmrec.export.export import export
from tfllmrec.export.ops import of_scann, ops_of
from tfllmrec.export.precision import precision_of
from tfllmrec.export.target import target_of
from tfllmrec.export.versions import version_folders
from tfllmrec.models.base.recommender import Recommender

_ITEM_IDS = "ids/items/ids/values/.ATTRIBUTES/VARIABLE_VALUE"  # of a `Servable`, in its checkpoint


def refresh(recommender: Recommender, folder: str | Path, items: pd.DataFrame, *, name: str | None = None) -> Path:
    """Write the next version of an export: the recommender with further items, which it knows by their content.

    The scores of the items before are as they were.

    Args:
        recommender: what was exported.
        folder: a model base path with a version of it; the new one answers with as many items, is for the
            same target, and has the same precision and index.
        items: item_id, title and what the family knows items by. It may hold items that are known already, and must
            hold those of refreshes before, of which the recommender does not know.
        name: what the model is called in TF Serving; by default the folder's name.

    Returns:
        The version's folder.

    Raises:
        InputError: the folder has no version, or serves items that the new one would not. See
            `Recommender.with_items` and `export` for what else. No error leaves anything behind.

    Example:
        >>> refresh(recommender, "models/films", new_films)
        PosixPath('models/films/2')
    """
    versions = version_folders(Path(folder))
    if not versions:
        raise InputError(f"refresh: {folder} has no version yet; export the recommender there first")
    newest = versions[max(versions)]
    grown = recommender.with_items(items)
    served = _served_items(newest)
    lost = served[grown.fitted_data.items.lookup(served) == 0]
    if len(lost):
        raise InputError(
            f"refresh: {len(lost):,} items that {newest} serves are neither the recommender's nor in the table "
            f"({', '.join(map(repr, lost[:3]))}): add them"
        )
    return export(
        grown,
        folder,
        top_k=_places(newest),
        name=name,
        target=target_of(newest).name,
        precision=precision_of(newest),
        index="scann" if of_scann(ops_of(newest)) else "exact",
    )


def _served_items(version: Path) -> np.ndarray:
    """The item ids of an exported version, strings."""
    try:
        ids = tf.train.load_variable(str(version / "variables" / "variables"), _ITEM_IDS)
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(f"refresh: {version} is no export of a recommender, or a damaged one") from error
    return np.array([one.decode() for one in ids[1:]], object)


def _places(version: Path) -> int:
    """How many items the answers of a version have."""
    signatures = signatures_of(version)
    answer = signatures.get("retrieve") or signatures["recommend"]  # a model with scenarios has no `retrieve`
    return answer.outputs["item_ids"].tensor_shape.dim[1].size
